"""Averages of a model's parameters over training: equal weights (SWA, Izmailov et al. 2018) or exponential ones (EMA)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from ..eager.creation import tensor
from ..eager.modes import no_grad
from ..eager.tensor import Tensor
from ..ir.dtypes import int64
from ..nn.module import Module
from ..nn.normalisation import _BatchNorm
from .optimizer import Optimizer
from .rates import LRScheduler


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """Moves a list of averages towards a list of values by ``1 - decay``, in place."""
    _checked(decay)

    def update(averages: list[Tensor], values: list[Tensor], count: Any) -> None:
        for average, value in zip(averages, values, strict=True):
            average.copy_(average + (value - average) * (1 - decay) if average.is_floating_point() else value)

    return update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """Moves a list of averages towards a list of values so that all values weigh the same, in place."""

    def update(averages: list[Tensor], values: list[Tensor], count: Any) -> None:
        for average, value in zip(averages, values, strict=True):
            average.add_((value - average) / (count + 1))

    return update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """``decay * average + (1 - decay) * value``."""
    _checked(decay)

    def update(average: Tensor, value: Tensor, count: Any) -> Tensor:
        return average * decay + value * (1 - decay)  # type: ignore[no-any-return]

    return update


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """The mean of all values so far."""

    def update(average: Tensor, value: Tensor, count: Any) -> Tensor:
        return average + (value - average) / (count + 1)  # type: ignore[no-any-return]

    return update


def _checked(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


class AveragedModel(Module):
    """A copy of `model` as `module`, whose parameters (with `use_buffers` also its buffers) `update_parameters` averages."""

    n_averaged: Tensor

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[..., Tensor] | None = None,
        multi_avg_fn: Callable[..., None] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of `model` into the averages."""
        own, given = list(self.module.parameters()), list(model.parameters())
        if self.use_buffers:
            own, given = [*own, *self.module.buffers()], [*given, *model.buffers()]  # type: ignore[list-item]
        with no_grad():
            values = [v.detach() for v in given]
            if self.n_averaged == 0:
                for average, value in zip(own, values, strict=True):
                    average.copy_(value)
            elif self.avg_fn is not None:
                for average, value in zip(own, values, strict=True):
                    average.copy_(self.avg_fn(average.detach(), value, self.n_averaged))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())([a.detach() for a in own], values, self.n_averaged)
            if not self.use_buffers:
                for b, value in zip(self.module.buffers(), model.buffers(), strict=True):
                    b.copy_(value)
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Set the running statistics of batch norms by one pass over `loader`, with equal weights."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    was_training, momenta = model.training, [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    with no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rates to `swa_lr` in `anneal_epochs`, along a cosine ("cos") or a line ("linear"), then constant."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        rates = swa_lr if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        for lr, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: float) -> float:
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        groups = self.optimizer.param_groups
        if before == 1:
            return [g["swa_lr"] for g in groups]
        first = [(g["lr"] - before * g["swa_lr"]) / (1 - before) for g in groups]
        return [g["swa_lr"] * now + lr * (1 - now) for g, lr in zip(groups, first, strict=True)]


__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip
