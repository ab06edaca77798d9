"""Switches of the gradient mode: each a context manager and a decorator. The flag itself is in `runtime.gradmode`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..runtime import gradmode

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """Sets the mode on entry, gives the former one back on exit; nests and may be entered again. Its subclasses name it where
    `super` would do: the cell behind that has no place on disk, and captures that pass through it were not kept."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(gradmode.get())
        gradmode.set(self.mode)

    def __exit__(self, *exc: object) -> None:
        gradmode.set(self.before.pop())

    def __call__(self, fn: F) -> F:
        mode = self.mode
        if inspect.isgeneratorfunction(fn):
            return _generator_in(mode, fn)  # type: ignore[return-value]

        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before = gradmode.get()
            gradmode.set(mode)
            try:
                return fn(*args, **kwargs)
            finally:
                gradmode.set(before)

        return wrapped  # type: ignore[return-value]


def _generator_in(mode: bool, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The generator function `fn` whose every step runs in `mode`, and whose caller does not."""

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        generator = fn(*args, **kwargs)
        step, value = generator.send, None
        while True:
            try:
                with _Mode(mode):
                    out = step(value)
            except StopIteration as end:
                return end.value
            try:
                value = yield out
                step = generator.send
            except GeneratorExit:
                with _Mode(mode):
                    generator.close()
                raise
            except BaseException as thrown:
                step, value = generator.throw, thrown

    return wrapped


class no_grad(_Mode):
    """Nothing is recorded inside. ``with no_grad():``, ``@no_grad()`` or ``@no_grad``."""

    def __new__(cls, fn: Any = None) -> Any:
        made = object.__new__(cls)
        if fn is None:
            return made
        _Mode.__init__(made, False)
        return made(fn)

    def __init__(self) -> None:
        _Mode.__init__(self, False)


class enable_grad(_Mode):
    """Operations are recorded inside, also within `no_grad`."""

    def __init__(self) -> None:
        _Mode.__init__(self, True)


class inference_mode(_Mode):
    """As `no_grad`; results made inside may be used outside like any other."""

    def __init__(self, mode: bool = True) -> None:
        _Mode.__init__(self, not mode)


class set_grad_enabled(_Mode):
    """Sets the mode at once; as a context manager it is undone at the end of the block."""

    def __init__(self, mode: bool) -> None:
        _Mode.__init__(self, bool(mode))
        self._former = gradmode.get()
        gradmode.set(self.mode)

    def __enter__(self) -> None:
        self.before.append(self._former)
        gradmode.set(self.mode)

    def __call__(self, fn: F) -> F:
        gradmode.set(self._former)  # a decorator sets the mode inside the function only
        return _Mode.__call__(self, fn)


def is_grad_enabled() -> bool:
    """Whether operations on this thread are recorded."""
    return gradmode.get()


def is_anomaly_enabled() -> bool:
    """Whether `autograd.set_detect_anomaly` is on."""
    from . import tape

    return tape.watching


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a NaN is an error while that is on."""
    from . import anomaly

    return anomaly.is_anomaly_check_nan_enabled()


def capturing() -> bool:
    """True in code that a tracer follows (the tracer answers in its place), else False: for what has a faster form that
    cannot be followed."""
    return False
