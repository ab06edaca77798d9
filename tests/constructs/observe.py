"""What a run of a case shows: results, exceptions, output, warnings, log records, outer state, random states; and comparing two.

Runs a `rows.Case` with whatever its function has become (plain or compiled).
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = str(Path(__file__).parent)
_SIMPLE = (type(None), bool, int, float, complex, str, bytes, range, slice, types.BuiltinFunctionType, types.ModuleType)


class _Logs(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.levelname} {record.getMessage()} {record.funcName}")


@contextlib.contextmanager
def _recorded(shown: dict[str, Any]) -> Iterator[None]:
    """Everything that leaves the process's Python on other ways than results."""
    logs, out, err = _Logs(), io.StringIO(), io.StringIO()
    logger = logging.getLogger("constructs")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(logs)
    try:
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            warnings.simplefilter("always")
            yield
    finally:
        logger.removeHandler(logs)
    shown["stdout"], shown["stderr"], shown["logs"] = out.getvalue(), err.getvalue(), logs.lines
    shown["warnings"] = [(w.category.__name__, str(w.message)) for w in warned if HERE in w.filename]


def seed(torch: Any) -> None:
    """All generators to a known state."""
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)


def run(case: Any, function: Callable[..., Any], torch: Any) -> dict[str, Any]:
    """All that three calls of `function` (the case's own, or made of it) show."""
    seed(torch)
    shown: dict[str, Any] = {}
    with _recorded(shown):
        for k, args in enumerate(case.calls):
            case.between(k)
            shown[f"call {k}"] = _one(function, args, torch)
            shown[f"arguments {k}"] = picture(args, torch)
            shown[f"state {k}"] = picture(case.state(), torch)
    shown["random"] = random.random(), float(np.random.rand()), torch.rand(2).tolist()
    return shown


def _one(function: Callable[..., Any], args: tuple[Any, ...], torch: Any) -> Any:
    try:
        result = function(*args)
    except BaseException as error:
        return "raises", _exception(error, torch)
    return "gives", picture((result, args), torch)


def _exception(error: BaseException | None, torch: Any) -> Any:
    if error is None:
        return None
    frames, entry = [], error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        if "rows_" in code.co_filename:
            frames.append((Path(code.co_filename).name, entry.tb_lineno, code.co_name))
        entry = entry.tb_next
    notes = list(getattr(error, "__notes__", ()))
    nested = [_exception(e, torch) for e in getattr(error, "exceptions", ())]
    cause, context = error.__cause__, error.__context__ if not error.__suppress_context__ else None
    return type(error).__name__, str(error), frames, notes, nested, _exception(cause, torch), _exception(context, torch)


def picture(x: Any, torch: Any) -> Any:
    """A value as something that compares; objects met before by their number, so identities and shared memory show."""
    return _picture(x, torch, {}, [])


def _picture(x: Any, torch: Any, seen: dict[int, int], arrays: list[Any]) -> Any:
    if isinstance(x, (torch.Size, torch.dtype)):
        return type(x).__name__, str(x)
    if isinstance(x, _SIMPLE):
        return type(x).__name__, str(x) if isinstance(x, (types.ModuleType, range, slice)) else x
    if type(x) is tuple:
        return "tuple", [_picture(v, torch, seen, arrays) for v in x]
    if id(x) in seen:
        return "again", seen[id(x)]
    arrays.append(x)  # keeps ids apart
    seen[id(x)] = len(seen)
    if isinstance(x, torch.Tensor):
        return _tensor(x, torch, seen, arrays)
    if isinstance(x, np.ndarray):
        return "ndarray", str(x.dtype), x.tolist()
    if isinstance(x, (type, types.FunctionType)):
        return type(x).__name__, x.__qualname__
    if isinstance(x, types.MethodType):
        return "method", x.__func__.__qualname__, _picture(x.__self__, torch, seen, arrays)
    if isinstance(x, BaseException):
        return _exception(x, torch)
    return _object(x, torch, seen, arrays)


def _tensor(x: Any, torch: Any, seen: dict[int, int], arrays: list[Any]) -> Any:
    memory = x.detach().numpy()
    shares = [k for k, other in enumerate(arrays[:-1]) if isinstance(other, torch.Tensor) and _overlap(memory, other)]
    grad = None if not x.is_leaf or x.grad is None else _picture(x.grad, torch, seen, arrays)
    kind = "Parameter" if isinstance(x, torch.nn.Parameter) else "Tensor"
    return kind, str(x.dtype), tuple(x.shape), x.stride(), bool(x.requires_grad), memory.copy(), grad, shares


def _overlap(memory: Any, other: Any) -> bool:
    return bool(np.may_share_memory(memory, other.detach().numpy()))


def _object(x: Any, torch: Any, seen: dict[int, int], arrays: list[Any]) -> Any:
    name = type(x).__qualname__
    if isinstance(x, (dict, types.MappingProxyType)):
        content: Any = [(_picture(k, torch, seen, arrays), _picture(v, torch, seen, arrays)) for k, v in x.items()]
    elif isinstance(x, (list, tuple)) or hasattr(x, "maxlen"):
        content = [_picture(v, torch, seen, arrays) for v in x]
    elif isinstance(x, (set, frozenset)):
        content = sorted(map(repr, x))
    elif isinstance(x, types.GeneratorType):
        return "generator", [_picture(v, torch, seen, arrays) for v in x]
    else:
        content = []
    slots = {n: getattr(x, n) for c in type(x).__mro__ for n in getattr(c, "__slots__", ()) if hasattr(x, n)}
    own = {**slots, **getattr(x, "__dict__", {})}
    if isinstance(x, torch.nn.Module):
        own = {k: v for k, v in own.items() if k in ("_parameters", "_buffers", "_modules", "training") or not k.startswith("_")}
    return name, content, [(k, _picture(v, torch, seen, arrays)) for k, v in own.items() if not k.startswith("__")]


def differences(ours: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What differs, one line each."""
    return [f"{key}: {ours[key]!r} instead of {expected[key]!r}" for key in expected if not same(ours[key], expected[key])]


def same(a: Any, b: Any) -> bool:
    """Equal, floats and arrays up to rounding."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return bool(np.isclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True))
    return bool(a == b)


def break_of(case: Any, compiled: Callable[..., Any], refusal: type[BaseException]) -> BaseException | None:
    """What a function compiled under ``fullgraph=True`` refuses with in three calls; None where it is one graph."""
    with _recorded({}):
        for k, args in enumerate(case.calls):
            case.between(k)
            try:
                compiled(*args)
            except refusal as error:
                return error
            except BaseException:  # the row's own exception
                continue
    return None
