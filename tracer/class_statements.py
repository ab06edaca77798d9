"""Class statements that are followed: the body as a symbolic frame that keeps names, then a real class that only the tracer has.
The tail makes it again, a new one at every call, where it is needed.

Followed where making the class runs no further code: metaclass ``type``, no ``__init_subclass__`` or ``__set_name__`` in Python.
"""

from __future__ import annotations

import builtins
import types
from typing import TYPE_CHECKING, Any

from .attributes import find
from .breaks import Break, UserRaise
from .bytecode import NULL, Step, slot_names
from .frame import Frame, handles
from .ops_stack import read_cell, read_global
from .special import SPECIAL

if TYPE_CHECKING:
    from .session import Session


def _names(f: Frame) -> dict[str, Any]:
    if f.names is None:
        raise Break("instruction", "names outside of a class body")
    return f.names


@handles("LOAD_BUILD_CLASS")
def load_build_class(f: Frame, step: Step) -> None:
    f.stack.append(builtins.__build_class__)


@handles("LOAD_NAME")
def load_name(f: Frame, step: Step) -> None:
    f.stack.append(_from_names(f, _names(f), step.arg))


def _from_names(f: Frame, names: dict[str, Any], name: str) -> Any:
    if name in names:
        return names[name]
    value = read_global(f, name)
    if value is NULL:
        raise UserRaise(NameError(f"name '{name}' is not defined", name=name))
    return value


@handles("STORE_NAME")
def store_name(f: Frame, step: Step) -> None:
    _names(f)[step.arg] = f.stack.pop()


@handles("DELETE_NAME")
def delete_name(f: Frame, step: Step) -> None:
    if step.arg not in _names(f):
        raise UserRaise(NameError(f"name '{step.arg}' is not defined", name=step.arg))
    del _names(f)[step.arg]


@handles("SETUP_ANNOTATIONS")
def setup_annotations(f: Frame, step: Step) -> None:
    _names(f).setdefault("__annotations__", {})


@handles("LOAD_LOCALS")
def load_locals(f: Frame, step: Step) -> None:
    f.stack.append(_names(f))


@handles("LOAD_FROM_DICT_OR_GLOBALS")
def load_from_dict_or_globals(f: Frame, step: Step) -> None:
    f.stack.append(_from_names(f, f.stack.pop(), step.arg))


@handles("LOAD_FROM_DICT_OR_DEREF")
def load_from_dict_or_deref(f: Frame, step: Step) -> None:
    names, name = f.stack.pop(), slot_names(f.code)[step.arg]
    value = names[name] if name in names else read_cell(f, f.load_slot(step.arg))
    if value is NULL:
        text = f"cannot access free variable '{name}' where it is not associated with a value in enclosing scope"
        raise UserRaise(NameError(text))
    f.stack.append(value)


def build_class(session: Session, body: Any, name: str, *bases: Any, **options: Any) -> Any:
    """``__build_class__``."""
    check(bases, options)
    frame = Frame(session, body, [], session.closure_of(body))
    frame.names = {}
    session.run(frame)
    return make(session, name, bases, frame.names)


def check(bases: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Break where making a class over `bases` runs code or needs a metaclass."""
    if options:
        raise Break("class-statement", f"a class statement with {', '.join(options)}=")
    for base in bases:
        hook = find(base, "__init_subclass__") if type(base) is type else NULL
        if type(base) is not type or hook is not find(object, "__init_subclass__"):
            raise Break("class-statement", "a class over a base that makes its classes in its own way")


def make(session: Session, name: str, bases: tuple[Any, ...], names: dict[str, Any]) -> Any:
    """A class of the region's own."""
    names = {key: session.operators.settle(value) for key, value in names.items()}
    if any(isinstance(find(type(x), "__set_name__"), types.FunctionType) for x in names.values()):
        raise Break("class-statement", "a class with a member that is told its name")
    made = session.native(type, name, bases, names)
    session.fresh_classes[id(made)] = made
    session.outside.made.add(id(made))
    return made


def made_of(cls: type) -> dict[str, Any]:
    """The names that make `cls` again."""
    of_type = (types.GetSetDescriptorType, types.MemberDescriptorType)
    return {key: value for key, value in vars(cls).items() if not isinstance(value, of_type)}


SPECIAL[builtins.__build_class__] = build_class
