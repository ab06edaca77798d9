"""``fusewire run``: a script or module as ``python`` runs it, with logs switched on. Imports nothing that is not asked for.

The exit status, ``sys.argv``, ``sys.path``, ``__main__`` and the traceback of an error are those of ``python script.py``.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import knobs, logs

_OURS = ("--log", "--as")


class UsageError(Exception):
    """What the user typed cannot be served; the message is one line."""


def split(rest: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Options of ours that stand right behind the script's name, and the script with its own arguments. ``--`` ends ours."""
    found: dict[str, str] = {}
    script, args = list(rest[:1]), list(rest[1:])
    while args and args[0].partition("=")[0] in _OURS:
        name, equals, value = args.pop(0).partition("=")
        if not equals:
            if not args:
                raise UsageError(f"{name} takes a value")
            value = args.pop(0)
        found[name.lstrip("-")] = value
    return found, script + (args[1:] if args[:1] == ["--"] else args)


def run(command: Sequence[str], *, module: bool = False, log: str = "", as_: str = "") -> int:
    """Run ``command`` (a script's or module's name and its arguments); the exit status. UsageError where there is none."""
    if not command:
        raise UsageError("run takes a script or -m module")
    try:
        logs.parse(log)
    except ValueError as error:
        raise UsageError(str(error)) from None
    knobs.log = log or knobs.log
    if as_:
        _install(as_)
    start = _module(command[0]) if module else _script(Path(command[0]))
    sys.argv = list(command)
    return _guarded(start)


def _install(name: str) -> None:
    """Let imports of `name` find fusewire."""
    from .aliases import install_as

    try:
        install_as(name)
    except (ImportError, ValueError) as error:
        raise UsageError(f"--as {name}: {error}") from error


def _script(path: Path) -> Callable[[], Any]:
    """What runs the file as ``__main__``."""
    if path.is_dir() or path.suffix in (".zip", ".pyz"):
        import runpy

        return lambda: runpy.run_path(str(path), run_name="__main__")
    try:
        with io.open_code(str(path.absolute())) as file:
            source = file.read()
    except OSError as error:
        raise UsageError(f"can't open file {str(path)!r}: {error.strerror}") from None

    def start() -> None:
        name, main = os.path.abspath(path), types.ModuleType("__main__")
        vars(main).update(__file__=name, __cached__=None, __builtins__=__builtins__, __spec__=None)
        sys.modules["__main__"] = main
        sys.path[0:1] = [str(path.resolve().parent)]
        exec(compile(source, name, "exec", dont_inherit=True), vars(main))

    return start


def _module(name: str) -> Callable[[], Any]:
    """What runs the module as ``python -m`` does."""

    def start() -> None:
        import runpy

        sys.modules["__main__"] = types.ModuleType("__main__")
        vars(sys.modules["__main__"])["__builtins__"] = __builtins__
        sys.path[0:1] = [os.getcwd()]
        runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # sets sys.argv[0], and keeps __main__ as python -m does

    return start


_here = sys.modules["__main__"]  # kept: the names of a module go with it


def _guarded(start: Callable[[], Any]) -> int:
    """Run to the end; what is raised comes out as the interpreter shows it."""
    try:
        start()
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
            trace = trace.tb_next
        error = error.with_traceback(trace)
        sys.excepthook(type(error), error, trace)
        if isinstance(error, KeyboardInterrupt):
            _interrupted()
        return 1
    return 0


def _interrupted() -> None:
    """End as Python does at Ctrl-C: by the signal, so that a shell knows."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
