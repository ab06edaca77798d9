"""Handlers of instructions that compute: operators, attributes, subscripts, displays, unpacking, text."""

from __future__ import annotations

from typing import Any

from ..runtime.source import Item
from . import late_ops, subscripts
from .attributes import Namespace, find, snapshot
from .breaks import Break, UserRaise, describe
from .bytecode import NULL, Step
from .checks import decided
from .classes import by_python
from .frame import Frame, handles
from .late import Late
from .symbols import SizeInt
from .values import Lazy, concrete


@handles("UNARY_OP")
def unary_op(f: Frame, step: Step) -> None:
    f.stack.append(f.session.operators.unary(step.arg, f.stack.pop()))


@handles("UNARY_NOT")
def unary_not(f: Frame, step: Step) -> None:
    x = f.stack.pop()
    f.stack.append(late_ops.negated(f.session, x) if type(x) is Late else not x)


@handles("TO_BOOL")
def to_bool(f: Frame, step: Step) -> None:
    if type(f.stack[-1]) is Late and f.program.steps[f.at + 1].op == "UNARY_NOT":
        return
    known = decided(f, f.stack[-1])
    if known is not None:
        f.stack[-1] = known
        return
    f.stack.append(f.session.operators.truth(f.stack.pop()))


@handles("BINARY_OP")
def binary_op(f: Frame, step: Step) -> None:
    a, b = f.popn(2)
    f.stack.append(f.session.operators.binary(step.arg, a, b))


@handles("COMPARE_OP")
def compare_op(f: Frame, step: Step) -> None:
    a, b = f.popn(2)
    f.stack.append(f.session.operators.compare(step.arg, a, b))


@handles("IS_OP")
def is_op(f: Frame, step: Step) -> None:
    a, b = f.popn(2)
    f.stack.append(f.session.operators.same(a, b) != bool(step.arg))


@handles("CONTAINS_OP")
def contains_op(f: Frame, step: Step) -> None:
    a, b = f.popn(2)
    f.stack.append(f.session.operators.contains(a, b) != bool(step.arg))


@handles("LOAD_ATTR")
def load_attr(f: Frame, step: Step) -> None:
    f.stack.append(f.session.attributes.load(f.stack.pop(), step.arg))


@handles("STORE_ATTR")
def store_attr(f: Frame, step: Step) -> None:
    value, obj = f.popn(2)
    f.session.attributes.store(obj, step.arg, value)


@handles("DELETE_ATTR")
def delete_attr(f: Frame, step: Step) -> None:
    f.session.attributes.store(f.stack.pop(), step.arg, NULL)


@handles("LOAD_SUPER_ATTR")
def load_super_attr(f: Frame, step: Step) -> None:
    made, cls, self = f.popn(3)
    if made is not super:
        raise Break("unusual-arguments", "super() that is not the built-in one")
    f.stack.append(f.session.attributes.load(f.session.native(super, cls, self), step.arg))


@handles("BINARY_SUBSCR")
def binary_subscr(f: Frame, step: Step) -> None:
    obj, key = f.popn(2)
    f.stack.append(subscripts.load(f.session, obj, key))


@handles("STORE_SUBSCR")
def store_subscr(f: Frame, step: Step) -> None:
    value, obj, key = f.popn(3)
    subscripts.store(f.session, obj, key, value)


@handles("DELETE_SUBSCR")
def delete_subscr(f: Frame, step: Step) -> None:
    obj, key = f.popn(2)
    subscripts.store(f.session, obj, key, NULL)


def _keys(f: Frame, items: list[Any]) -> list[Any]:
    """Members of a set or keys of a dict: constants that compare natively."""
    settled = [f.session.operators.settle(x) for x in items]
    if not all(map(f.session.operators.is_key, settled)):
        raise Break("own-comparison", "a key that compares in its own way")
    return settled


@handles("BUILD_TUPLE")
def build_tuple(f: Frame, step: Step) -> None:
    f.stack.append(tuple(f.popn(step.arg)))


@handles("BUILD_LIST")
def build_list(f: Frame, step: Step) -> None:
    f.stack.append(f.popn(step.arg))


@handles("BUILD_SET")
def build_set(f: Frame, step: Step) -> None:
    f.stack.append(f.session.native(set, _keys(f, f.popn(step.arg))))


@handles("BUILD_STRING")
def build_string(f: Frame, step: Step) -> None:
    pieces = f.popn(step.arg)
    late = any(type(x) is Late for x in pieces)
    f.stack.append(late_ops.joined(f.session, pieces) if late else "".join(pieces))


@handles("BUILD_MAP")
def build_map(f: Frame, step: Step) -> None:
    items = f.popn(2 * step.arg)
    f.stack.append(f.session.native(lambda: dict(zip(_keys(f, items[::2]), items[1::2], strict=True))))


@handles("BUILD_CONST_KEY_MAP")
def build_const_key_map(f: Frame, step: Step) -> None:
    keys = f.stack.pop()
    f.stack.append(dict(zip(keys, f.popn(step.arg), strict=True)))


@handles("BUILD_SLICE")
def build_slice(f: Frame, step: Step) -> None:
    f.stack.append(slice(*[x if type(x) is SizeInt else concrete(x) for x in f.popn(step.arg)]))


@handles("LIST_APPEND")
def list_append(f: Frame, step: Step) -> None:
    value = f.stack.pop()
    f.stack[-step.arg].append(value)
    f.session.effects.container(f.stack[-step.arg], "append", (value,))


@handles("SET_ADD")
def set_add(f: Frame, step: Step) -> None:
    (value,) = _keys(f, [f.stack.pop()])
    _into_set(f, f.stack[-step.arg], "add", value)


def _into_set(f: Frame, target: Any, method: str, value: Any) -> None:
    """Add to a set under construction: to one from outside (it was begun before a graph break) by the effect alone."""
    if not f.session.outside.is_opaque(target):
        f.session.native(getattr(target, method), value)
    f.session.effects.container(target, method, (value,))


@handles("MAP_ADD")
def map_add(f: Frame, step: Step) -> None:
    key, value = f.popn(2)
    (key,) = _keys(f, [key])
    f.session.outside.open(f.stack[-step.arg])
    f.session.native(f.stack[-step.arg].__setitem__, key, value)
    f.session.effects.item(f.stack[-step.arg], key, value)


@handles("LIST_EXTEND")
def list_extend(f: Frame, step: Step) -> None:
    items = list(f.session.operators.items(f.stack.pop()))
    f.stack[-step.arg].extend(items)
    f.session.effects.container(f.stack[-step.arg], "extend", (items,))


@handles("SET_UPDATE")
def set_update(f: Frame, step: Step) -> None:
    items = _keys(f, list(f.session.operators.items(f.stack.pop())))
    _into_set(f, f.stack[-step.arg], "update", items)


@handles("DICT_UPDATE", "DICT_MERGE")
def dict_update(f: Frame, step: Step) -> None:
    other = f.stack.pop()
    other = snapshot(f.session, other.owner) if isinstance(other, Namespace) else other
    target = f.stack[-step.arg]
    if isinstance(other, dict) and by_python(type(other)) and find(type(other), "__iter__") is find(dict, "__iter__"):
        if f.session.outside.is_opaque(other):
            raise Break("outside-object", f"the content of {describe(other)}")
        other = dict(dict.items(other))
    if not isinstance(other, dict) or not f.session.operators.is_native(other):
        raise Break("mapping", "a mapping that is not a dict")
    f.session.outside.open(other)
    f.session.outside.open(target)
    if step.op == "DICT_MERGE" and any(key in target for key in other):
        raise Break("mapping", "a keyword argument that is given twice")  # CPython's message names the function
    f.session.native(target.update, other)
    f.session.effects.container(target, "update", (dict(other),))


@handles("LIST_TO_TUPLE")
def list_to_tuple(f: Frame, step: Step) -> None:
    f.session.outside.open(f.stack[-1])
    f.stack.append(tuple(f.stack.pop()))


def _counted(f: Frame, obj: Any, count: int, least: bool) -> list[Any]:
    it = f.session.operators.iterate(obj)
    items: list[Any] = []
    while least or len(items) <= count:
        value = f.session.operators.advance(it)
        if value is NULL:
            break
        items.append(value)
        if len(items) > 100_000:
            raise Break("endless", "unpacking without an end")
    if len(items) < count:
        wanted = f"at least {count}" if least else str(count)
        raise UserRaise(ValueError(f"not enough values to unpack (expected {wanted}, got {len(items)})"))
    if len(items) > count and not least:
        raise UserRaise(ValueError(f"too many values to unpack (expected {count})"))
    return items


@handles("UNPACK_SEQUENCE")
def unpack_sequence(f: Frame, step: Step) -> None:
    if f.head:
        packed = f.stack.pop()
        f.stack.extend(Lazy(packed.value[i], Item(packed.source, i)) for i in reversed(range(step.arg)))
        return
    f.stack.extend(reversed(_counted(f, f.stack.pop(), step.arg, least=False)))


@handles("UNPACK_EX")
def unpack_ex(f: Frame, step: Step) -> None:
    before, after = step.arg
    items = _counted(f, f.stack.pop(), before + after, least=True)
    middle = items[before : len(items) - after]
    f.stack.extend(reversed([*items[:before], middle, *items[len(items) - after :]]))


@handles("CONVERT_VALUE")
def convert_value(f: Frame, step: Step) -> None:
    how: Any = {"s": str, "r": repr, "a": ascii}[step.arg]
    f.stack.append(f.session.operators.text(f.stack.pop(), how))


@handles("FORMAT")
def format_value(f: Frame, step: Step) -> None:
    spec = f.stack.pop() if step.arg else ""
    f.stack.append(f.session.operators.format(f.stack.pop(), spec))


@handles("GET_LEN")
def get_len(f: Frame, step: Step) -> None:
    f.stack.append(f.session.operators.length(f.stack[-1]))
