"""``torch.amp``: `autocast`, which lowers the dtype of the ops that gain by it, and `GradScaler`.

Which ops are lowered, and which are computed in float32, each op's record says (PyTorch's lists for the CPU and for CUDA); what
is done to their operands is in `eager.casting`.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from . import cuda
from .addresses import address
from .eager import casting
from .eager.creation import tensor
from .eager.modes import no_grad
from .eager.pure import pure
from .eager.tensor import Tensor
from .ir import dtypes
from .ir.dtypes import bfloat16, float16

_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla")


class autocast:
    """A context or a decorator in which ops run in the dtypes that their records ask for: products and convolutions in `dtype`
    (bfloat16 on the CPU by default, float16 on CUDA), some others in float32. Warns and does nothing where the device is not
    there or has no such dtype."""

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else bool(cache_enabled)
        if enabled and not _supported(device_type, self.fast_dtype):
            enabled = False
        self._enabled = bool(enabled)
        self._before: list[int] = []

    def __enter__(self) -> autocast:
        before = casting.get()
        mode = casting.with_options(before, self.device, self._enabled, self.fast_dtype, self._cache_enabled)
        self._before.append(before)
        casting.switch(mode)
        return self

    def __exit__(self, *exc: object) -> None:
        casting.switch(self._before.pop())

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError(f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast "
                            f"as a context manager? For example:\n    with torch.autocast(device_type=...):\n"
                            f"        output = model(input)")  # fmt: skip

        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return inside


def _supported(device: str, dtype: Any) -> bool:
    """Whether ops can be lowered to `dtype` on a type of device; warns where not."""
    if device == "cuda":
        if not cuda.is_available():
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=3)
            return False
    elif dtype not in (bfloat16, float16):
        name = device.upper()
        warnings.warn(f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n{name} Autocast only "
                      f"supports dtypes of {bfloat16!r}, {float16!r} currently.", stacklevel=3)  # fmt: skip
        return False
    return True


@pure
def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows this type of device."""
    return device_type in _DEVICES


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether ops on a type of device are lowered on this thread ("cuda" where none is named)."""
    return bool(casting.get() & casting.ENABLED.get(device_type or "cuda", 0))


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast for a type of device on this thread."""
    device, on = ("cuda", device_type) if enabled is None else (device_type, enabled)
    bit = casting.ENABLED.get(device, 0)
    casting.switch(casting.get() | bit if on else casting.get() & ~bit)


def get_autocast_dtype(device_type: str) -> Any:
    """The dtype to which `autocast` lowers on a type of device."""
    if device_type not in casting.ENABLED:
        return bfloat16 if device_type in ("xla", "hpu") else float16
    return casting.dtype_of(casting.get(), device_type)


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype to which `autocast` lowers on a type of device."""
    casting.switch(casting.with_dtype(casting.get(), device_type, dtype))


def is_autocast_cache_enabled() -> bool:
    """Whether low copies of parameters are kept until the outermost region ends."""
    return not casting.get() & casting.UNCACHED


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep low copies of parameters, or make them at each use."""
    mode = casting.get()
    casting.switch(mode & ~casting.UNCACHED if enabled else mode | casting.UNCACHED)


def clear_autocast_cache() -> None:
    """Drop the low copies of parameters."""
    casting.clear()


def is_autocast_cpu_enabled() -> bool:
    """Whether ops on the CPU are lowered."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switch autocast for the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Any:
    """The dtype to which `autocast` lowers on the CPU."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """Set the dtype to which `autocast` lowers on the CPU."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Any:
    """The dtype to which `autocast` lowers on CUDA."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """Set the dtype to which `autocast` lowers on CUDA."""
    set_autocast_dtype("cuda", dtype)


def _converted(value: Any, device: str, dtype: Any) -> Any:
    """Floating tensors of a type of device, in containers too, in `dtype`; float64 and all else as they are."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.device.type == device and value.dtype is not dtypes.float64
        return value.to(dtype) if fits else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {_converted(k, device, dtype): _converted(v, device, dtype) for k, v in value.items()}
    if isinstance(value, Iterable):
        made = [_converted(v, device, dtype) for v in value]
        return type(value)(made) if isinstance(value, (list, tuple)) else iter(made)  # type: ignore[call-arg]
    return value


def _check_device(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Decorates `forward` of a Function: in an autocast region its tensors come as `cast_inputs` and nothing is lowered inside;
    without `cast_inputs` it runs as the region does."""
    _check_device(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        ctx, on = args[0], is_autocast_enabled(device_type)
        ctx._dtype, ctx._fwd_used_autocast = get_autocast_dtype(device_type), on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            given = [_converted(x, device_type, cast_inputs) for x in args[1:]]
            return fwd(ctx, *given, **_converted(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorates `backward` of a Function: it runs in the autocast mode that `forward` ran in."""
    _check_device(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, args[0]._dtype, args[0]._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return backward


class GradScaler:
    """Scales a loss so that small gradients do not vanish in half precision; steps with infinite or NaN gradients are left out,
    after which the scale shrinks by `backoff_factor`; after `growth_interval` good ones it grows by `growth_factor`."""

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._device, self._enabled = device, bool(enabled) and (device != "cuda" or cuda.is_available())
        self._scale, self._growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._found: dict[int, bool] = {}
        self._stepped: set[int] = set()
        self._scaled = False

    def _need_scale(self, what: str) -> None:
        if not self._scaled:
            raise AssertionError(f"Attempted {what} but _scale is None.  This may indicate your script did not use "
                                 "scaler.scale(loss or outputs) earlier in the iteration.")  # fmt: skip

    def scale(self, outputs: Any) -> Any:
        """Tensors times the scale."""
        if not self._enabled:
            return outputs
        self._scaled = True
        if isinstance(outputs, Tensor):
            return outputs * tensor(self._scale).to(outputs.dtype)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimiser's parameters by the scale, before clipping them."""
        if not self._enabled:
            return
        self._need_scale("unscale_")
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if id(optimizer) in self._found:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        with no_grad():
            for grad in grads:
                grad.mul_(1.0 / self._scale)
            self._found[id(optimizer)] = any(not math.isfinite((grad * 0).sum().item()) for grad in grads)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()`` on the unscaled gradients, unless one of them is infinite or NaN; what it returns."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        self._need_scale("step")
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        self._stepped.add(id(optimizer))
        return None if self._found[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Set the scale for the next step."""
        if not self._enabled:
            return
        self._need_scale("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found:
            raise RuntimeError("No inf checks were recorded prior to update.")
        elif any(self._found.values()):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale, self._growth_tracker = self._scale * self._growth_factor, 0
        self._found.clear()
        self._stepped.clear()

    def get_scale(self) -> float:
        """The scale; 1 where it is not enabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it scales; for "cuda" only where there is one."""
        return self._enabled

    def get_growth_interval(self) -> int:
        """Good steps until the scale grows."""
        return self._growth_interval

    def state_dict(self) -> dict[str, Any]:
        """What goes on with training; empty where it is not enabled."""
        if not self._enabled:
            return {}
        return {"scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
                "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker}  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled instance of "
                               "GradScaler.")  # fmt: skip
        self._scale, self._growth_tracker = state_dict["scale"], state_dict["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]


__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
__path__: list[str] = []  # so that its parts are imported as modules
autocast_mode, grad_scaler = address("amp.autocast_mode", "amp"), address("amp.grad_scaler", "amp")
