"""`dataclass` as in the standard library, whose methods are written when they are used often.

The library's own takes a third of a millisecond for each class at import, used or not: most of the time in which a process that
finds all it runs on disk gets going. Fields, `replace`, `astuple` and pattern matching work as usual. Of the library's
features it has what this package uses: defaults, `field`, frozen, slots, eq; not inheritance of fields, ClassVar, InitVar, order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_PARAMS = dataclasses.dataclass(frozen=True)(type("_", (), {})).__dataclass_params__  # type: ignore[attr-defined]
_UNFIT = object()
#: uses of a method from which on it pays to write it, which takes a tenth of a millisecond
_TIMES = 24
_ROOM: dict[str, Any] = {"MISSING": dataclasses.MISSING, "_set": object.__setattr__}


def _made(given: Any = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True) -> Any:
    """Class decorator, with or without arguments."""
    if given is None:
        return lambda c: _made(c, frozen=frozen, slots=slots, eq=eq)
    cls: Any = given
    names = cls.__dict__.get("__annotations__", {})  # noqa: RUF063  (`inspect` is slow to import)
    fields = {name: _field(cls, name, kind) for name, kind in names.items()}
    for name, f in fields.items():
        if f.default is dataclasses.MISSING:
            if name in cls.__dict__:
                delattr(cls, name)  # a `field(...)` without a default
        else:
            setattr(cls, name, f.default)
    if slots:
        cls = _with_slots(cls, fields)
    cls.__dataclass_fields__, cls.__dataclass_params__ = fields, _PARAMS
    setattr(cls, "__match_args__", tuple(name for name, f in fields.items() if f.init))  # noqa: B010  (mypy's idea of it)
    if "__init__" not in cls.__dict__:
        cls.__init__ = _stub(cls, "__init__", _write_init, _init_once)
    if eq and "__eq__" not in cls.__dict__:
        cls.__eq__ = _stub(cls, "__eq__", _write_eq, _eq_once)
    if "__repr__" not in cls.__dict__:
        cls.__repr__ = _repr
    if eq and frozen and cls.__dict__.get("__hash__") is None:
        cls.__hash__ = _stub(cls, "__hash__", _write_hash, _hash_once)
    elif eq and not frozen and "__hash__" not in cls.__dict__:
        cls.__hash__ = None
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refuse_set, _refuse_delete
        if slots and "__getstate__" not in cls.__dict__:
            cls.__getstate__, cls.__setstate__ = _get_state, _set_state
    return cls


def _field(cls: Any, name: str, kind: Any) -> Any:
    if "ClassVar" in str(kind) or "InitVar" in str(kind):
        raise TypeError(f"{cls.__name__}.{name}: ClassVar and InitVar are for dataclasses.dataclass")
    value = cls.__dict__.get(name, dataclasses.MISSING)
    found: Any = value if isinstance(value, dataclasses.Field) else dataclasses.field(default=value)
    found.name, found.type = name, kind
    found._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
    return found


def _with_slots(cls: Any, fields: dict[str, Any]) -> Any:
    """The class again, with its fields as slots."""
    inherited = {s for base in cls.__mro__[1:-1] for s in getattr(base, "__slots__", ())}
    content = {k: v for k, v in cls.__dict__.items() if k not in fields and k not in ("__dict__", "__weakref__")}
    content["__slots__"] = tuple(name for name in fields if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, content)
    made.__qualname__ = cls.__qualname__
    return made


def _stub(cls: Any, name: str, write: Callable[[Any], Any], once: Callable[[Any, Any, Any, Any], Any]) -> Any:
    """A method that puts the real one in its place when it has been used for some time; until then `once` does its work."""
    uses = 0

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal uses
        uses += 1
        if uses < _TIMES:
            done = once(cls, self, args, kwargs)
            if done is not _UNFIT:
                return done
        real = write(cls)
        real.__qualname__ = f"{cls.__qualname__}.{name}"
        if cls.__dict__.get(name) is method:
            setattr(cls, name, real)
        return real(self, *args, **kwargs)

    method.__name__ = name
    return method


def _init_once(cls: Any, self: Any, args: Any, kwargs: Any) -> Any:
    found, at, named = {}, 0, 0
    for name, f in cls.__dataclass_fields__.items():
        if f.init and at < len(args):
            found[name] = args[at]
            at += 1
        elif f.init and name in kwargs:
            found[name] = kwargs[name]
            named += 1
        elif f.default is not dataclasses.MISSING:
            found[name] = f.default
        elif f.default_factory is not dataclasses.MISSING:
            found[name] = f.default_factory()
        elif f.init:
            return _UNFIT
    if at < len(args) or named < len(kwargs):
        return _UNFIT
    for name, value in found.items():
        object.__setattr__(self, name, value)
    if hasattr(cls, "__post_init__"):
        self.__post_init__()
    return None


def _values(cls: Any, of: Any) -> tuple[Any, ...]:
    return tuple([getattr(of, name) for name, f in cls.__dataclass_fields__.items() if f.compare])


def _eq_once(cls: Any, self: Any, args: Any, kwargs: Any) -> Any:
    if len(args) != 1 or kwargs:
        return _UNFIT
    if self is args[0]:
        return True
    return NotImplemented if args[0].__class__ is not self.__class__ else _values(cls, self) == _values(cls, args[0])


def _hash_once(cls: Any, self: Any, args: Any, kwargs: Any) -> Any:
    return _UNFIT if args or kwargs else hash(_values(cls, self))


def _compiled(cls: Any, name: str, text: str, more: dict[str, Any]) -> Any:
    space = {**_ROOM, **more}
    exec(text, space)
    return space[name]


def _write_init(cls: Any) -> Any:
    heads, body, more = [], [], {}
    for name, f in cls.__dataclass_fields__.items():
        value = name
        if f.default is not dataclasses.MISSING:
            more[f"_d_{name}"] = f.default
            head = f"{name}=_d_{name}"
        elif f.default_factory is not dataclasses.MISSING:
            more[f"_f_{name}"] = f.default_factory
            head, value = f"{name}=MISSING", f"_f_{name}() if {name} is MISSING else {name}"
        else:
            head = name
        if f.init:
            heads.append(head)
        elif head == name:
            continue  # `__post_init__` sets it
        else:
            value = f"_d_{name}" if f"_d_{name}" in more else f"_f_{name}()"
        body.append(f" _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    return _compiled(cls, "__init__", f"def __init__({', '.join(['self', *heads])}):\n" + "\n".join(body or [" pass"]), more)


def _compared(cls: Any, of: str) -> str:
    return "(" + "".join(f"{of}.{name}, " for name, f in cls.__dataclass_fields__.items() if f.compare) + ")"


def _write_eq(cls: Any) -> Any:
    text = "def __eq__(self, other):\n if self is other:\n  return True\n if other.__class__ is not self.__class__:\n"
    text += f"  return NotImplemented\n return {_compared(cls, 'self')} == {_compared(cls, 'other')}"
    return _compiled(cls, "__eq__", text, {})


def _write_hash(cls: Any) -> Any:
    return _compiled(cls, "__hash__", f"def __hash__(self):\n return hash({_compared(cls, 'self')})", {})


def _repr(self: Any) -> str:
    fields = self.__dataclass_fields__.values()
    return f"{type(self).__qualname__}({', '.join([f'{f.name}={getattr(self, f.name)!r}' for f in fields if f.repr])})"


def _refuse_set(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__dataclass_fields__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__dataclass_fields__, state, strict=True):
        object.__setattr__(self, name, value)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _made
