"""``copy.copy`` and ``copy.deepcopy`` of what the interpreter holds, where no code of the object's own takes part in it."""

from __future__ import annotations

import collections
import copy
import enum
import types
from typing import TYPE_CHECKING, Any

from ..eager.tensor import Tensor
from ..ir.dtypes import DType
from .attributes import find, snapshot
from .breaks import opaque
from .bytecode import NULL
from .classes import by_python, native_base
from .special import SPECIAL
from .values import SYMBOLIC

if TYPE_CHECKING:
    from .session import Session

_SAME = (
    type(None), bool, int, float, complex, str, bytes, type, range, slice, type(Ellipsis), type(NotImplemented), property,
    types.FunctionType, types.BuiltinFunctionType, DType, enum.Enum, *SYMBOLIC,
)  # fmt: skip
_HOOKS = ("__copy__", "__deepcopy__", "__setstate__")
_OF_OBJECT = ("__reduce_ex__", "__reduce__", "__getstate__", "__new__")


def _shallow(s: Session, x: Any) -> Any:
    """``copy.copy(x)``."""
    if isinstance(x, _SAME) or type(x) in (tuple, frozenset):
        return x
    if type(x) in (list, dict, set, collections.deque, collections.OrderedDict, collections.defaultdict):
        return s.call(s.attributes.load(x, "copy"))
    hook = s.attributes.of_class(x, "__copy__")
    if isinstance(hook, types.FunctionType):
        return s.call(hook, (x,))
    made = _bare(s, x, copy.copy)
    _fill(s, x, made, lambda value: value)
    return made


def _deep(s: Session, x: Any, *memo: Any) -> Any:
    """``copy.deepcopy(x)``."""
    if memo:
        raise opaque(copy.deepcopy)
    return _copied(s, x, {})


def _copied(s: Session, x: Any, memo: dict[int, Any]) -> Any:
    if isinstance(x, _SAME):
        return x
    if id(x) in memo:
        return memo[id(x)]
    if isinstance(x, Tensor):
        raise opaque(copy.deepcopy)
    s.operators.session.outside.open(x)
    if s.outside.is_opaque(x):
        raise opaque(copy.deepcopy)
    if type(x) in (tuple, frozenset):
        items = [_copied(s, y, memo) for y in x]
        return x if all(a is b for a, b in zip(items, x, strict=True)) else type(x)(items)
    if type(x) in (list, set, dict, collections.OrderedDict, collections.Counter, collections.defaultdict, collections.deque):
        return _container(s, x, memo)
    made = memo[id(x)] = _bare(s, x, copy.deepcopy)
    _fill(s, x, made, lambda value: _copied(s, value, memo))
    return made


def _container(s: Session, x: Any, memo: dict[int, Any]) -> Any:
    made: Any = collections.deque(maxlen=x.maxlen) if type(x) is collections.deque else type(x)()
    memo[id(x)] = made
    if isinstance(x, dict):
        if type(x) is collections.defaultdict:
            made.default_factory = x.default_factory
        for key, value in x.items():
            made[_copied(s, key, memo)] = _copied(s, value, memo)
    elif isinstance(x, set):
        made.update([_copied(s, y, memo) for y in x])
    else:
        made.extend([_copied(s, y, memo) for y in x])
    return made


def _bare(s: Session, x: Any, fn: Any) -> Any:
    """An object of the class of `x` without attributes; a break where its class takes part in copying."""
    cls = type(x)
    plain = by_python(cls) and native_base(cls) is object and all(find(cls, name) is find(object, name) for name in _OF_OBJECT)
    if not plain or any(find(cls, name) is not NULL for name in _HOOKS):
        raise opaque(fn)
    return s.native(object.__new__, cls)


def _fill(s: Session, x: Any, made: Any, turn: Any) -> None:
    own = snapshot(s, x)
    if own:
        vars(made).update({name: turn(value) for name, value in own.items()})
    slots = [y for base in type(x).__mro__ for y in base.__dict__.items() if isinstance(y[1], types.MemberDescriptorType)]
    for name, member in slots:
        value = s.attributes.load_or(x, name, NULL)
        if value is not NULL:
            member.__set__(made, turn(value))


SPECIAL[copy.copy] = _shallow
SPECIAL[copy.deepcopy] = _deep
