"""Hooks of all modules at once. While there is one for calls, `Module.__call__` is the form that runs hooks; otherwise these cost
nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hooks import EVERYWHERE, RemovableHandle, add_hook
from .module import Module

_plain_call = Module.__call__


def _watched_call(self: Module, *args: Any, **kwargs: Any) -> Any:
    return self._call_with_hooks(args, kwargs)


def _settle() -> None:
    """The form of a call that the hooks at hand need."""
    e = EVERYWHERE
    watched = e.forward_pre or e.forward or e.backward_pre or e.backward
    Module.__call__ = _watched_call if watched else _plain_call  # type: ignore[method-assign]


class _Handle(RemovableHandle):
    def remove(self) -> None:
        super().remove()
        _settle()


def _entered(hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    handle = _Handle(hooks)
    hooks[handle.id] = hook
    _settle()
    return handle


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, args)`` before the forward of every module; what it returns, if anything, replaces the arguments."""
    return _entered(EVERYWHERE.forward_pre, (hook, False))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, result)`` after the forward of every module; what it returns, if anything, replaces the
    result."""
    return _entered(EVERYWHERE.forward, (hook, with_kwargs, always_call))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` when the gradients of any module's inputs have been computed."""
    return _entered(EVERYWHERE.backward, hook)


register_module_backward_hook = register_module_full_backward_hook


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` when the gradients of any module's results have come."""
    return _entered(EVERYWHERE.backward_pre, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` where a module gets a parameter; what it returns, if anything, replaces it."""
    return add_hook(EVERYWHERE.registration["_parameters"], hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` where a module gets a buffer; what it returns, if anything, replaces it."""
    return add_hook(EVERYWHERE.registration["_buffers"], hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` where a module gets a submodule; what it returns, if anything, replaces it."""
    return add_hook(EVERYWHERE.registration["_modules"], hook)
