"""Why a call found no variant: the guard that failed, the value before and the value now, and what to do about it.

Only says; which variant serves is decided by the guards themselves.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Sequence
from typing import Any

from ..eager.tensor import Tensor
from ..ir.graph import Where
from ..ir.lazyclass import dataclass
from ..runtime import gradmode
from ..runtime.guard import (
    ClassAttrIs,
    Equals,
    GradMode,
    Guard,
    Holds,
    Is,
    KeysAre,
    Lacks,
    LengthIs,
    SameObject,
    SameStorage,
    SizesFit,
    SubclassIs,
    TensorIs,
    TensorLike,
    TypeIs,
    first_failure,
)

_LONGEST, _ITEMS = 60, 5
_OF_STATE = ".state"


@dataclass(frozen=True)
class Miss:
    """One recompile. `guard`: the guard that failed; `before`, `after`: what it compares, at that capture
    and at this call ("" where there is nothing to show)."""

    guard: str
    where: Where
    before: str = ""
    after: str = ""
    cure: str = ""

    @property
    def change(self) -> str:
        return f"{self.before} -> {self.after}" if self.before or self.after else ""

    def __str__(self) -> str:
        """One line: place, function, guard, values, cure."""
        change = f": {self.change}" if self.change else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{self.where}: recompile {self.where.function}: {self.guard}{change}{cure}"


def missed(variants: Sequence[Sequence[Guard]], args: Sequence[Any], where: Where) -> Miss:
    """What the guards of variants say about a call with `args` that none lets in: those of the variant of which the most hold,
    the newest of several."""
    failed = [first_failure(guards, args) for guards in variants]
    if None in failed:
        return Miss("no guard fails any more", where)
    nearest = max(range(len(variants)), key=lambda i: (failed[i], i))
    guard = variants[nearest][failed[nearest]]  # type: ignore[index]
    before, after = _values(guard, args)
    text = guard.why(args) if isinstance(guard, SizesFit) else guard.expr()
    return Miss(text, where, before, after, cure(guard, args))


def show(x: Any, deep: int = 2) -> str:
    """A value in a few words. Runs no code of the user's, and looks at no more than a few items."""
    if isinstance(x, Tensor):
        return f"{type(x).__name__} {x.meta!r}".removeprefix("Tensor ").replace(" on cpu", "")
    if type(x) in (float, bool, type(None)) or (type(x) is int and x.bit_length() <= 128):
        return repr(x)
    if type(x) in (str, bytes):
        return repr(x) if len(x) <= _LONGEST else f"{x[: _LONGEST - 3]!r}..."
    if type(x) in (list, tuple, dict, set, frozenset) and deep:
        items = [show(y, deep - 1) for y in itertools.islice(x, _ITEMS)] + ["..."] * (len(x) > _ITEMS)
        text = f"[{', '.join(items)}]" if type(x) is list else f"{type(x).__name__}({', '.join(items)})"
        return text if len(text) <= _LONGEST else f"a {type(x).__name__} of {len(x)}"
    return _named(x)


def _named(x: Any) -> str:
    if isinstance(x, types.FunctionType):
        return f"{x.__qualname__} (at {_place(x)})"
    if isinstance(x, (type, types.BuiltinFunctionType, types.ModuleType)):
        return str(x.__name__)
    if isinstance(x, types.CodeType):
        return f"{x.co_name} (at {Where(x.co_filename, x.co_firstlineno)})"
    return f"{'an' if type(x).__name__[:1] in 'aeiouAEIOU' else 'a'} {type(x).__qualname__}"


def _place(function: Any) -> str:
    code = function.__code__
    return str(Where(code.co_filename, code.co_firstlineno))


def _at(guard: Any, args: Sequence[Any]) -> Any:
    return guard.source.load(args)


def _values(guard: Guard, args: Sequence[Any]) -> tuple[str, str]:
    """What the guard compares: as captured, and now."""
    try:
        return _BEFORE[type(guard)](guard, args) if type(guard) in _BEFORE else ("", "")
    except Exception as error:  # the object is gone, or does not print: nothing to show
        return "", f"gone ({type(error).__name__})"


def _lacking(guard: Lacks, args: Sequence[Any]) -> tuple[str, str]:
    return "missing", show(_at(guard, args)[guard.key])


def _class_attr(guard: ClassAttrIs, args: Sequence[Any]) -> tuple[str, str]:
    missing = object()
    now = next((b.__dict__[guard.name] for b in guard.cls.__mro__ if guard.name in b.__dict__), missing)
    return "missing" if guard.missing else show(guard.value), "missing" if now is missing else show(now)


def _keys(guard: KeysAre, args: Sequence[Any]) -> tuple[str, str]:
    return show(list(guard.keys)), show(list(dict.keys(_at(guard, args))))


_BEFORE: dict[type, Any] = {
    TensorIs: lambda g, a: (f"{g.cls.__name__} {g.meta!r}".removeprefix("Tensor ").replace(" on cpu", ""), show(_at(g, a))),
    TensorLike: lambda g, a: (f"{g.cls.__name__} {g.type}".removeprefix("Tensor "), show(_at(g, a))),
    Equals: lambda g, a: (show(g.value), show(_at(g, a))),
    Holds: lambda g, a: (str(g.truth), str(not g.truth)),
    Is: lambda g, a: (show(g.value), show(_at(g, a))),
    TypeIs: lambda g, a: (g.cls.__name__, type(_at(g, a)).__name__),
    LengthIs: lambda g, a: (f"length {g.length}", f"length {len(_at(g, a))}"),
    KeysAre: _keys,
    Lacks: _lacking,
    ClassAttrIs: _class_attr,
    GradMode: lambda g, a: (f"{g.enabled}, autocast {g.casting}", f"{gradmode.get()}, autocast {gradmode.casting()}"),
}


def cure(guard: Guard, args: Sequence[Any]) -> str:
    """What a user can do so that this guard fails no more, as a clause."""
    if isinstance(guard, (TensorIs, TensorLike)):
        return _tensor_cure(guard, args)
    if isinstance(guard, SizesFit):
        return "a size left the range for which the code was compiled: the line named asks for it"
    if isinstance(guard, Holds):
        return f"the comparison{f' at {guard.where}' if guard.where else ''} comes out otherwise: each outcome is compiled once"
    if isinstance(guard, (Equals, TypeIs)):
        return _value_cure(guard)
    if isinstance(guard, Is):
        return "another object stands there: make it once, outside of the loop"
    if isinstance(guard, (LengthIs, KeysAre)):
        if _OF_STATE in guard.source.expr():
            return "an optimiser makes its state at its first step: two compiles are all there will be"
        return "the container changes its size: keep it fixed, or pass what is needed of it"
    if isinstance(guard, (ClassAttrIs, Lacks)):
        return "an attribute was set or deleted: do so before the first call"
    if isinstance(guard, SubclassIs):
        return "a class was registered with an abstract class: do so before the first call"
    if isinstance(guard, GradMode):
        return "one variant with gradients and one without, and one for each autocast mode: there will be no more of them"
    if isinstance(guard, (SameStorage, SameObject)):
        return "arguments are the same object, or share memory, in one call and not in the other: pass copies, or always the same"
    return ""


def _tensor_cure(guard: TensorIs | TensorLike, args: Sequence[Any]) -> str:
    try:
        now = _at(guard, args)
    except Exception:
        now = None
    if not isinstance(now, Tensor):
        return "no tensor stands there any more: pass one in every call, or none" + (
            " (a gradient is None before the first backward and after zero_grad)" if guard.source.expr().endswith(".grad") else ""
        )
    was: Any = guard.meta if isinstance(guard, TensorIs) else guard
    name = guard.source.expr()
    if now.meta.dtype is not was.dtype:
        return f"convert {name} to one dtype before the call"
    if len(now.meta.shape) != len(was.shape):
        return f"{name} has another number of dimensions: each number is compiled once"
    if now.meta.requires_grad is not was.requires_grad:
        return f"{name} requires grad in one call and not in the other: one variant each"
    if now.meta.shape != tuple(was.shape):
        return f"the second value of a size makes it a symbol; compiler.mark_dynamic({name}, dim) or dynamic=True from the start"
    return f"{name} is laid out otherwise: pass {name}.contiguous()"


def _value_cure(guard: Equals | TypeIs) -> str:
    name = guard.source.expr()
    if name.endswith(".grad"):
        return "a gradient is there from the first step on, until zero_grad drops it: one variant without it, one with it"
    if isinstance(guard, TypeIs) or isinstance(guard.value, (str, bytes, bool, type(None))):
        return f"{name} decides what is compiled: each value is compiled once"
    return f"{name} decides a shape, a branch or a number of turns: pass it as a tensor, or keep to few values"
