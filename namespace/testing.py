"""``torch.testing``: `assert_close` with PyTorch's tolerances and messages, and `make_tensor`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..eager import creation
from ..eager.device import placed
from ..eager.factory import make
from ..ir import dtypes
from ..ir.dtypes import DType

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

#: relative and absolute tolerance by dtype; others must be equal
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """AssertionError unless both (Tensors, numbers, and sequences and mappings of them) are close: for each pair of elements
    ``|actual - expected| <= atol + rtol * |expected|``, with tolerances by dtype where none are given (both or neither).
    ValueError where one tolerance is given alone; TypeError for what cannot be compared."""
    if (rtol is None) is not (atol is None):
        given = "rtol" if atol is None else "atol"
        other = "atol" if atol is None else "rtol"
        raise ValueError(f"rtol and atol must both be specified or both be unspecified, but got no {other}, {given} only")
    checks = {"device": check_device, "dtype": check_dtype, "layout": check_layout, "stride": check_stride}
    _compare(actual, expected, _Rules(rtol, atol, equal_nan, checks, msg), "")


class _Rules:
    def __init__(self, rtol: Any, atol: Any, equal_nan: bool, checks: dict[str, bool], msg: Any) -> None:
        self.rtol, self.atol, self.equal_nan, self.checks, self.msg = rtol, atol, equal_nan, checks, msg

    def fail(self, text: str, place: str) -> AssertionError:
        text += f"\n\nThe failure occurred for item {place}" if place else ""
        return AssertionError(self.msg(text) if callable(self.msg) else text if self.msg is None else self.msg)


def _compare(actual: Any, expected: Any, rules: _Rules, place: str) -> None:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            raise rules.fail(f"The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                             f"{sorted(set(expected) - set(actual))}\nAdditional keys in the actual mapping: "
                             f"{sorted(set(actual) - set(expected))}", place)  # fmt: skip
        for key in expected:
            _compare(actual[key], expected[key], rules, f"{place}[{key!r}]")
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            raise rules.fail(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", place)
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            _compare(a, b, rules, f"{place}[{i}]")
    elif actual is None and expected is None:
        return
    elif isinstance(actual, bool) and isinstance(expected, bool):
        if actual is not expected:
            raise rules.fail(f"Booleans mismatch: {actual} is not {expected}", place)
    else:
        _compare_values(actual, expected, rules, place)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _compare_values(actual: Any, expected: Any, rules: _Rules, place: str) -> None:
    numbers = [isinstance(x, (int, float, complex, np.number)) for x in (actual, expected)]
    known = [n or hasattr(x, "meta") or isinstance(x, np.ndarray) for x, n in zip((actual, expected), numbers, strict=True)]
    if not all(known) or numbers[0] is not numbers[1]:
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    scalar = numbers[0]
    a, b = (_tensor(x) for x in (actual, expected))
    if a.shape != b.shape:
        raise rules.fail(f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}.", place)
    for name, on in rules.checks.items():
        left, right = (getattr(x, name) for x in (a, b))
        left, right = (left(), right()) if name == "stride" else (left, right)
        if on and left != right and not (scalar and name == "dtype"):
            raise rules.fail(f"The values for attribute '{name}' do not match: {left} != {right}.", place)
    rtol, atol = rules.rtol, rules.atol
    if rtol is None:
        pairs = [_TOLERANCES.get(x.dtype.name, (0.0, 0.0)) for x in (a, b)]
        rtol, atol = max(p[0] for p in pairs), max(p[1] for p in pairs)
    _compare_elements(a, b, rtol, atol, rules, place, scalar)


def _tensor(x: Any) -> Any:
    return x.detach().to_dense() if hasattr(x, "meta") else creation.tensor(x, dtype=_of_number(x))


def _of_number(x: Any) -> DType | None:
    return None if isinstance(x, np.ndarray) else dtypes.complex128 if isinstance(x, complex) else dtypes.float64 if (
        isinstance(x, float)) else dtypes.int64  # fmt: skip


def _compare_elements(a: Any, b: Any, rtol: float, atol: float, rules: _Rules, place: str, scalar: bool) -> None:
    common = dtypes.promote_types(a.dtype, b.dtype)
    wide = dtypes.float64 if common.kind == "f" else dtypes.complex128 if common.kind == "c" else dtypes.int64
    left, right = (x.to(wide).cpu().numpy() for x in (a, b))
    with np.errstate(all="ignore"):
        away = np.abs(left - right)
        close = (left == right) | (np.isfinite(left) & np.isfinite(right) & (away <= atol + rtol * np.abs(right)))
        if rules.equal_nan and wide.kind != "i":
            close |= np.isnan(left) & np.isnan(right)
        if close.all():
            return
        ratio = away / np.abs(right)
    allowed = "" if rtol == atol == 0 else " (up to {} allowed)"
    if scalar:
        raise rules.fail(_of_scalars(left.item(), right.item(), away.item(), ratio.item(), rtol, atol), place)
    away, ratio = (np.where(close | np.isnan(x), -1.0, x) for x in (away, ratio))
    kind = "Tensor-likes are not close!" if allowed else "Tensor-likes are not equal!"
    wrong, total = int((~close).sum()), close.size
    lines = [kind, "", f"Mismatched elements: {wrong} / {total} ({wrong / total:.1%})"]
    for name, x, tolerance in (("absolute", away, atol), ("relative", ratio, rtol)):
        at = np.unravel_index(int(np.argmax(x)), x.shape)
        worst = float(x[at]) if x[at] >= 0 else math.nan
        shown = int(worst) if wide.kind == "i" and name == "absolute" and worst == worst else worst
        lines.append(f"Greatest {name} difference: {shown} at index {tuple(map(int, at))}{allowed.format(tolerance)}")
    raise rules.fail("\n".join(lines), place)


def _of_scalars(a: Any, b: Any, away: Any, ratio: Any, rtol: float, atol: float) -> str:
    if rtol == atol == 0:
        return f"Scalars are not equal!\n\nExpected {b} but got {a}.\nAbsolute difference: {away}\nRelative difference: {ratio}"
    return (f"Scalars are not close!\n\nExpected {b} but got {a}.\nAbsolute difference: {away} (up to {atol} allowed)\n"
            f"Relative difference: {ratio} (up to {rtol} allowed)")  # fmt: skip


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """The older form of `assert_close`: dtypes may differ, NaNs are equal."""
    a, b = (x if hasattr(x, "meta") else creation.tensor(x) for x in (actual, expected))
    if rtol is None and atol is None:
        pairs = [_TOLERANCES.get(x.dtype.name, (0.0, 0.0)) for x in (a, b)]
        rtol, atol = max(p[0] for p in pairs), max(p[1] for p in pairs)
    assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, check_stride=False,
                 msg=msg or None)  # fmt: skip


def make_tensor(
    *shape: Any, dtype: DType, device: Any = "cpu", low: float | None = None, high: float | None = None,
    requires_grad: bool = False, noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """A Tensor of random elements from `low` up to `high` (by default -9 to 9; 0 to 9 of unsigned dtypes, 0 to 2 of bool)."""
    from ..eager.random import rand

    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (list, tuple)) else shape
    least = (0 if dtype.kind in "bu" else -9) if low is None else low
    most = (2 if dtype.kind == "b" else 10 if dtype.kind in "ui" else 9) if high is None else high
    drawn = [rand(sizes, dtype=dtypes.float64, device="cpu").numpy() for _ in range(1 + (dtype.kind == "c"))]
    parts = [x * (most - least) + least for x in drawn]
    values = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
    array = (np.floor(values) if dtype.kind in "bui" else values).astype(dtype.np)
    if exclude_zero:
        array[array == 0] = 1
    if noncontiguous and array.ndim and array.size > 1:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    made = placed(make(array), device)
    return made.requires_grad_() if requires_grad else made
