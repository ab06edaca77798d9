"""``torch.jit``: what remains of TorchScript. `script` compiles a function and leaves a Module as it is; `trace` does neither.

There is no second language here: code stays Python, and `compile` captures it. Files of TorchScript are neither written nor read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..compiler import compile as _compile
from ..nn.module import Module

T = TypeVar("T")


def script(obj: T, *args: Any, **kwargs: Any) -> T:
    """A function compiled; a Module or class as it is (``model.compile()`` compiles one)."""
    if isinstance(obj, (type, Module)) or not callable(obj):
        return obj
    return _compile(obj)


def trace(func: T, example_inputs: Any = None, *args: Any, **kwargs: Any) -> T:
    """`func` as it is, after one call on `example_inputs` (a tuple, or one Tensor): what does not run is found here."""
    if example_inputs is not None:
        func(*example_inputs) if isinstance(example_inputs, (tuple, list)) else func(example_inputs)  # type: ignore[operator]
    return func


def trace_module(mod: T, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> T:
    """`mod` as it is, after one call of each method named."""
    for name, given in inputs.items():
        getattr(mod, name)(*given) if isinstance(given, (tuple, list)) else getattr(mod, name)(given)
    return mod


def _same(fn: T = None, *args: Any, **kwargs: Any) -> Any:  # type: ignore[assignment]
    """The function or class as it is: all methods are Python here."""
    return fn if callable(fn) else lambda made: made


ignore = unused = export = interface = script_method = _same
ScriptModule = Module


def is_scripting() -> bool:
    """False: code runs as Python or compiled, never as TorchScript."""
    return False


is_tracing = is_scripting


def freeze(mod: T, *args: Any, **kwargs: Any) -> T:
    """`mod` in eval mode, else as it is."""
    return mod.eval() if isinstance(mod, Module) else mod  # type: ignore[return-value]


optimize_for_inference = freeze


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A future that holds the result: the call is made at once."""
    return _Done(func(*args, **kwargs))


def wait(future: Any) -> Any:
    """The result of `fork`."""
    return future.wait()


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def wait(self) -> Any:
        """The result."""
        return self._value

    value = wait


def annotate(the_type: Any, the_value: T) -> T:
    """`the_value`."""
    return the_value


def isinstance_(obj: Any, target_type: Any) -> bool:
    """As Python's."""
    return isinstance(obj, target_type)


class Final:
    """``Final[T]`` in an annotation of a Module: T."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item


class Attribute:
    """A value with its type; the value alone counts."""

    def __new__(cls, value: Any, type: Any) -> Any:
        return value


def save(m: Any, f: Any, _extra_files: Any = None) -> NoReturn:
    """NotImplementedError: TorchScript files are not written."""
    raise NotImplementedError("TorchScript files are not written: save(model.state_dict(), path) keeps the values")


def load(f: Any, map_location: Any = None, _extra_files: Any = None) -> NoReturn:
    """NotImplementedError: TorchScript files are not read."""
    raise NotImplementedError(f"{f!r}: TorchScript files hold code and are not read; load a state_dict into a Module of your own")
