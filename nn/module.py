"""Module: a tree of parameters, buffers and submodules with a forward function.

A tracer follows `__call__` and every forward as ordinary bytecode, so the paths from call to forward are kept plain.
Saving and loading are in `state.py`, the printed form in `show.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..eager.creation import empty_like
from ..eager.modes import no_grad
from ..eager.tensor import Tensor
from . import show
from .hooks import EVERYWHERE, Crossing, RemovableHandle, add_hook, backward_hooks, has_backward_hooks
from .parameter import Buffer, Parameter
from .state import Stateful

M = TypeVar("M", bound="Module")


class Module(Stateful):
    """Base of all layers and models. Subclasses call ``super().__init__()`` first and define `forward`."""

    dump_patches = call_super_init = False
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    #: of a module without such hooks
    _backward_hooks: dict[int, Any] = {}
    _backward_pre_hooks: dict[int, Any] = {}

    def __init__(self) -> None:
        set_plain = super().__setattr__
        if sys.version_info >= (3, 13):  # a dict of its own, for machine code to see by its version that nothing has changed
            set_plain("__dict__", dict(self.__dict__))
        set_plain("training", True)
        set_plain("_parameters", {})
        set_plain("_buffers", {})
        set_plain("_non_persistent", set())
        set_plain("_modules", {})
        set_plain("_forward_hooks", {})
        set_plain("_forward_pre_hooks", {})

    def compile(self, **options: Any) -> None:
        """Compile the calls of this module from now on, in place; `options` are those of `fusewire.compile`."""
        sys.modules[__name__.partition(".")[0]].compiler.compile_in_place(self, **options)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module computes."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_hooks or self._forward_pre_hooks:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hooks = [*EVERYWHERE.forward.values(), *self._forward_hooks.values()]
        if not [1 for _, _, always in hooks if always]:
            return self._hooked(args, kwargs, hooks)
        done: list[Any] = []
        try:
            return self._hooked(args, kwargs, hooks, done)
        except Exception:
            for hook, with_kwargs, always in hooks[len(done) :]:
                if always:
                    hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
            raise

    def _hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any], hooks: list[Any], done: list[Any] | None = None) -> Any:
        crossing = None
        for hook, with_kwargs in [*EVERYWHERE.forward_pre.values(), *self._forward_pre_hooks.values()]:
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        if has_backward_hooks(self):
            crossing = Crossing(self)
            args = crossing.enter(args)
        result = self.forward(*args, **kwargs)
        for hook, with_kwargs, _ in hooks:
            if done is not None:
                done.append(hook)
            changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if changed is not None:
                result = changed
        return result if crossing is None else crossing.leave(result)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, result)`` after each forward; what it returns, if anything, replaces the result. With
        `always_call` also after one that raises, `result` being None then."""
        return add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)  # type: ignore[arg-type]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns, if anything, replaces the arguments."""
        return add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)  # type: ignore[arg-type]

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a call's inputs have been computed; a tuple that
        it returns replaces `grad_input`. None stands for what has no gradient."""
        return add_hook(backward_hooks(self, "_backward_hooks"), hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of a call's results have come; what it returns, if anything,
        replaces `grad_output`."""
        return add_hook(backward_hooks(self, "_backward_pre_hooks"), hook, prepend)

    # -- attributes ------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        if isinstance(value, Parameter):
            self._own("_parameters", name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._own("_modules", name)[name] = self._told("_modules", name, value)
        elif name in fields.get("_parameters", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{type(value).__name__}' as parameter '{name}' "
                                f"(torch.nn.Parameter or None expected)")  # fmt: skip
            fields["_parameters"][name] = None
        elif name in fields.get("_modules", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{type(value).__name__}' as child module '{name}' "
                                f"(torch.nn.Module or None expected)")  # fmt: skip
            fields["_modules"][name] = None
        elif isinstance(value, Buffer) or name in fields.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{type(value).__name__}' as buffer '{name}' "
                                f"(torch.nn.Buffer, torch.Tensor or None expected)")  # fmt: skip
            self._own("_buffers", name)[name] = self._told("_buffers", name, value)
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind in fields and name in fields[kind]:
                return fields[kind][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    def _own(self, kind: str, name: str) -> dict[str, Any]:
        """The dict `kind`, with `name` taken out of every other place it was in."""
        fields = self.__dict__
        if kind not in fields:
            what = {"_parameters": "parameters", "_buffers": "buffers", "_modules": "module"}[kind]
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        fields.pop(name, None)
        for other in ("_parameters", "_buffers", "_modules"):
            if other != kind:
                fields[other].pop(name, None)
        return fields[kind]  # type: ignore[no-any-return]

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the place of one that is absent."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name(name, "parameter")
        if hasattr(self, name) and name not in self._parameters:
            raise KeyError(f"attribute '{name}' already exists")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                            f"(torch.nn.Parameter or None required)")  # fmt: skip
        if param is not None and param.grad_fn is not None:
            raise ValueError(f"cannot assign non-leaf Tensor to parameter '{name}': model parameters must be created explicitly")
        self._own("_parameters", name)[name] = self._told("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not a parameter; without `persistent` it is left out of `state_dict`."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name(name, "buffer")
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (torch Tensor or None required)")
        self._buffers[name] = self._told("_buffers", name, tensor)
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "module")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        self._own("_modules", name)[name] = self._told("_modules", name, module)

    register_module = add_module

    def _told(self, kind: str, name: str, value: Any) -> Any:
        """`value`, about to be registered, as the hooks of registration leave it."""
        for hook in EVERYWHERE.registration[kind].values():
            changed = hook(self, name, value)
            value = value if changed is None else changed
        return value

    @staticmethod
    def _check_name(name: str, what: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    # -- walking the tree ------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, parents first, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules with their names."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Direct submodules."""
        for _, child in self.named_children():
            yield child

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[Any] = set()  # Tensors hash by identity
        every = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for module_name, module in every if recurse else [(prefix, self)]:
            for name, value in module.__dict__[kind].items():
                if value is None or (remove_duplicate and value in seen):
                    continue
                seen.add(value)
                yield f"{module_name}.{name}" if module_name else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, each once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters, each once."""
        for _, p in self.named_parameters(recurse=recurse):
            yield p

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with dotted names, each once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Buffers, each once."""
        for _, b in self.named_buffers(recurse=recurse):
            yield b

    def get_submodule(self, target: str) -> Module:
        """The submodule with this dotted name; "" is the module itself."""
        at: Any = self
        for part in target.split(".") if target else ():
            if not hasattr(at, part):
                raise AttributeError(f"{type(at).__name__} has no attribute `{part}`")
            at = getattr(at, part)
            if not isinstance(at, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return at  # type: ignore[no-any-return]

    def _leaf(self, target: str, kind: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        if owner.__dict__[kind].get(name) is None:
            raise AttributeError(f"`{name}` is not {what}")
        return owner.__dict__[kind][name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with this dotted name."""
        return self._leaf(target, "_parameters", "an nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with this dotted name."""
        return self._leaf(target, "_buffers", "a buffer")  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a dotted name; with `strict` only where there is one."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if strict and not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        setattr(owner, name, module)

    # -- changing all of it ----------------------------------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every submodule, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self: M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """Replace the data of every parameter and buffer by `fn` of it; parameters stay the same objects. What every conversion
        goes through: a subclass may add to it."""
        for child in self.children() if recurse else ():
            child._apply(fn)
        for p in [p for p in self._parameters.values() if p is not None]:
            with no_grad():
                p.data = fn(p.data)
                p.grad = None if p.grad is None else fn(p.grad)
        for name, b in self._buffers.items():
            if b is not None:
                self._buffers[name] = fn(b)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Convert floating and complex parameters and buffers to a dtype, all of them to a device; 4-d ones to a layout."""
        from ..eager.functional import device_and_dtype

        layout = kwargs.pop("memory_format", None)
        other = kwargs.pop("tensor", None)
        device, dtype = device_and_dtype(args if other is None else (other, *args), kwargs.get("dtype"), kwargs.get("device"))
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype!r}")

        def moved(x: Tensor) -> Tensor:
            wanted = dtype if x.is_floating_point() or x.is_complex() else None
            if layout is not None and x.ndim in (4, 5):
                return x.to(device, wanted, memory_format=layout)
            return x if device is None and wanted is None else x.to(device, wanted or x.dtype)

        return self._apply(moved)

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda x: x.type(dst_type))

    def float(self: M) -> M:
        """Floating parameters and buffers as float32."""
        return self._apply(lambda x: x.float() if x.is_floating_point() else x)

    def double(self: M) -> M:
        """Floating parameters and buffers as float64."""
        return self._apply(lambda x: x.double() if x.is_floating_point() else x)

    def half(self: M) -> M:
        """Floating parameters and buffers as float16."""
        return self._apply(lambda x: x.half() if x.is_floating_point() else x)

    def bfloat16(self: M) -> M:
        """Floating parameters and buffers as bfloat16."""
        return self._apply(lambda x: x.bfloat16() if x.is_floating_point() else x)

    def cpu(self: M) -> M:
        """On the CPU."""
        return self._apply(lambda x: x.cpu())

    def cuda(self: M, device: Any = None) -> M:
        """On a CUDA device."""
        return self._apply(lambda x: x.cuda(device))

    def xpu(self: M, device: Any = None) -> M:
        """On an XPU, of which there is none: DeviceError."""
        return self.to("xpu")

    def to_empty(self: M, *, device: Any = None, recurse: bool = True) -> M:
        """With new, unset memory."""
        return self._apply(lambda x: empty_like(x, device=device), recurse)

    def share_memory(self: M) -> M:
        """Memory is shared with processes that are started from here on."""
        for x in [*self.parameters(), *self.buffers()]:
            x.share_memory_()
        return self

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: M) -> M:
        """Evaluation mode for this module and all below it."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Whether gradients are recorded for the parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the parameters' gradients, or fill them with zero."""
        for p in self.parameters():
            if p.grad is None:
                continue
            if set_to_none:
                p.grad = None
                continue
            if p.grad.grad_fn is not None:
                p.grad.detach_()
            else:
                p.grad.requires_grad_(False)
            p.grad.zero_()

    def extra_repr(self) -> str:
        """What stands in the parentheses of the printed form."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return show.text(self)
