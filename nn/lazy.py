"""Layers whose input sizes the first call settles: until then their parameters have no shape, then they are the plain layers."""

from __future__ import annotations

from typing import Any

from ..eager.creation import tensor
from ..eager.modes import no_grad
from ..eager.tensor import Tensor
from ..ir import dtypes
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .layers import Linear
from .module import Module
from .normalisation import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import UninitializedBuffer, UninitializedParameter, is_lazy


class LazyModuleMixin:
    """For modules with `UninitializedParameter`s: before the first forward `initialize_parameters` is called with its arguments,
    after which the module is of class `cls_to_become`, if there is one. A state with shapes settles them too."""

    cls_to_become: type | None = None

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self: Any, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, x in self._local().items():
            destination[prefix + name] = x if is_lazy(x) or keep_vars else x.detach()

    def _lazy_load_hook(self: Any, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Give shapes to what `state_dict` has with one."""
        for name, own in [*self._parameters.items(), *self._buffers.items()]:
            given = state_dict.get(prefix + name)
            if own is not None and given is not None and is_lazy(own) and not is_lazy(given):
                with no_grad():
                    own.materialize(given.shape)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes, from the arguments of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self: Any) -> bool:
        """Whether a parameter or buffer has no shape."""
        return any(is_lazy(x) for x in [*self._parameters.values(), *self._buffers.values()])

    def _infer_parameters(self: Any, module: Any, args: Any, kwargs: Any = None) -> None:
        """The hook before the first forward."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


class _LazyLayer(LazyModuleMixin):
    _count = ""  # the attribute that the first call settles: of size 0 until then

    def reset_parameters(self: Any) -> None:
        """Draw new values, where there are shapes."""
        if not self.has_uninitialized_params() and getattr(self, self._count):
            super().reset_parameters()  # type: ignore[misc]


class LazyLinear(_LazyLayer, Linear):
    """A `Linear` that takes `in_features` from the last dimension of its first input."""

    cls_to_become = Linear
    _count = "in_features"

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def initialize_parameters(self, input: Any) -> None:  # type: ignore[override]
        """Shapes by the last dimension of `input`."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))  # type: ignore[attr-defined]
            if self.bias is not None:
                self.bias.materialize((self.out_features,))  # type: ignore[attr-defined]
            self.reset_parameters()
        if self.in_features == 0:  # the parameters were loaded
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from "
                                     f"self.weight: {self.weight.shape[-1]}")  # fmt: skip
            self.in_features = input.shape[-1]


def _channels(layer: Any, input: Tensor) -> int:
    """The size of dimension 1, or of dimension 0 of one example."""
    batched, single = layer.rank + 2, layer.rank + 1
    if input.ndim not in (batched, single):
        raise RuntimeError(f"Expected {single}D (unbatched) or {batched}D (batched) input to {type(layer).__name__}, but got "
                           f"input of size: {input.shape}")  # fmt: skip
    return int(input.shape[1] if input.ndim == batched else input.shape[0])


class _LazyConv(_LazyLayer):
    _count = "in_channels"

    def __init__(
        self: Any, out_channels: int, kernel_size: Any, *args: Any, bias: bool = True, device: Any = None, dtype: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        names = ("stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode") if self.transposed else (
            "stride", "padding", "dilation", "groups", "bias", "padding_mode")  # fmt: skip
        options = {"bias": bias, **dict(zip(names, args, strict=False)), **kwargs}
        biased = options.pop("bias")
        super().__init__(0, 0, kernel_size, bias=False, **options)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if biased:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def initialize_parameters(self: Any, input: Any, *args: Any, **kwargs: Any) -> None:
        """Shapes by the channels of `input`."""
        if self.has_uninitialized_params():
            self.in_channels = _channels(self, input)
            if self.in_channels % self.groups:
                raise ValueError("in_channels must be divisible by groups")
            first, second = self.out_channels, self.in_channels // self.groups
            if self.transposed:
                first, second = self.in_channels, self.out_channels // self.groups
            self.weight.materialize((first, second, *self.kernel_size))
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()


class _LazyNorm(_LazyLayer):
    _count = "num_features"

    def __init__(
        self: Any, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False)
        made = {"device": device, "dtype": dtype}
        self.affine, self.track_running_stats = affine, track_running_stats
        if self.affine:
            self.weight = UninitializedParameter(**made)
            self.bias = UninitializedParameter(**made) if bias else None
        if self.track_running_stats:
            self.running_mean, self.running_var = UninitializedBuffer(**made), UninitializedBuffer(**made)
            self.num_batches_tracked = tensor(0, dtype=dtypes.int64, device=device)

    def initialize_parameters(self: Any, input: Any) -> None:
        """Shapes by the channels of `input`."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for x in (self.weight, self.bias, self.running_mean, self.running_var):
                if x is not None and is_lazy(x):
                    x.materialize((self.num_features,))
            self.reset_parameters()


def _lazy(mixin: type, plain: type[Module]) -> Any:
    name = f"Lazy{plain.__name__}"
    fields = {"cls_to_become": plain, "__module__": __name__, "__qualname__": name,
              "__doc__": f"A `{plain.__name__}` that takes the number of its input's channels from its first input."}  # fmt: skip
    return type(name, (mixin, plain), fields)


LazyConv1d, LazyConv2d, LazyConv3d = (_lazy(_LazyConv, c) for c in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    _lazy(_LazyConv, c) for c in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (_lazy(_LazyNorm, c) for c in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    _lazy(_LazyNorm, c) for c in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)
