"""A reader of pickles that runs no code: a machine of its own for the instructions, and a table of what may be made.

A global in a file is a name looked up in the table; nothing is imported. A function of the table takes its arguments apart before
it makes anything; state is given only to objects that were just made and that take it as data. Sizes are bounded by what the
file holds: a pickle of n bytes makes at most about n objects, and keys of dicts and members of sets are plain.
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import FileError, FusewireError

Table = dict[tuple[str, str], Any]
Array = np.ndarray[Any, Any]

#: numbers of more digits take long to be made
_DIGITS = 4000
#: plain keys that are themselves tuples nest no deeper
_KEY_DEPTH = 4
#: what calls may copy: so many times the pickle, and so much more
_COPIES, _SPARE = 8, 1 << 20
_COPIED = (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque)


class Made:
    """What a table may hold besides plain values: a name that makes something of arguments when it is called. `state`, if any,
    takes the made object and the state that the file gives it, and returns the object. `new` makes one without its constructor
    (default: as `make`); `value` is what the name itself stands for where it is saved."""

    def __init__(
        self, make: Callable[..., Any], state: Callable[[Any, Any], Any] | None = None, value: Any = None,
        new: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.make, self.state, self.value, self.new = make, state, value, new or make


class Pending:
    """What becomes something else when it is given its state: `made`, from then on."""

    def __init__(self, made: Any = None) -> None:
        self.made = made


class Bad(Exception):
    """A pickle that does what none may do."""


def loads(data: bytes | memoryview, name: str, table: Table | None = None) -> Any:
    """The object in a pickle of plain values, containers and NumPy arrays, and of what `table` adds. FileError, which names
    `name`, for anything else."""
    return Machine(data, name, {**PLAIN, **(table or {})}).load()


# ---- what any pickle may make --------------------------------------------------------------------------------------------
def _encode(text: Any = "", encoding: Any = "latin1") -> bytes:
    """What pickles of protocol 2 hold in place of bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Bad("bytes in an encoding that pickle does not write")
    return text.encode("latin1")


def key(value: Any, depth: int = 0) -> Any:
    """`value`, if it may be a key: what is hashed must be plain, as hashing what nests in itself takes for ever."""
    if isinstance(value, tuple) and depth < _KEY_DEPTH and len(value) <= 64:
        for part in value:
            key(part, depth + 1)
        return value
    if isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
        return value
    if value.__hash__ is None or isinstance(value, (tuple, frozenset)):
        raise Bad(f"a {type(value).__name__} as a key")
    return value


def _set(items: Any = ()) -> set[Any]:
    return {key(i) for i in _sequence(items)}


def _sequence(items: Any) -> Any:
    if not isinstance(items, (list, tuple, set, frozenset)):
        raise Bad(f"a {type(items).__name__} where a list is due")
    return items


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    rows = [tuple(_sequence(row)) for row in _sequence(items)]
    if any(len(row) != 2 for row in rows):
        raise Bad("a pair of other than two")
    return OrderedDict((key(k), v) for k, v in rows)


def _ordered_state(made: Any, state: Any) -> Any:
    """State dicts of modules have `_metadata` beside their items."""
    if isinstance(state, dict) and isinstance(about := state.get("_metadata"), dict):
        made._metadata = about
    return made


def _counter(items: Any = None) -> Counter[Any]:
    if items is not None and not isinstance(items, dict):
        raise Bad("a Counter that is no dict")
    out: Counter[Any] = Counter()
    dict.update(out, items or {})
    return out


def _default(factory: Any = None) -> defaultdict[Any, Any]:
    if factory is not None and factory not in (int, float, list, dict, set, str, bool):
        raise Bad("a defaultdict of unknown defaults")
    return defaultdict(factory)


def _deque(items: Any = (), limit: Any = None) -> deque[Any]:
    if limit is not None and (type(limit) is not int or limit < 0):
        raise Bad("a deque of no length")
    return deque(_sequence(items), limit)


def _complex(real: Any = 0.0, imag: Any = 0.0) -> complex:
    if not isinstance(real, (int, float)) or not isinstance(imag, (int, float)):
        raise Bad("a complex number of other than two numbers")
    return complex(real, imag)


def _bytearray(data: Any = b"", encoding: Any = "latin1") -> bytearray:
    return bytearray(data if isinstance(data, (bytes, bytearray)) else _encode(data, encoding))


def _slice(*parts: Any) -> slice:
    if not 1 <= len(parts) <= 3 or not all(p is None or type(p) is int for p in parts):
        raise Bad("a slice of other than numbers")
    return slice(*parts)


_DTYPE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248]|c8|c16|[SU]\d{1,6}|[mM]8(\[\d*[a-zA-Z]{1,2}\])?)", re.ASCII)


def _dtype(text: Any, align: Any = False, copy: Any = True) -> Any:
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise Bad(f"arrays of dtype {text!r:.40}")
    return Pending(np.dtype(text))


def _dtype_state(blank: Pending, state: Any) -> Any:
    """Only the byte order may be told: ``(3, "<", None, None, None, -1, -1, 0)``, or what dates add to it."""
    dtype: Any = blank.made
    if not isinstance(state, tuple) or len(state) not in (8, 9) or state[1] not in ("<", ">", "|", "="):
        raise Bad("a dtype with parts")
    if any(v is not None for v in state[2:5]) or (dtype.kind not in "SU" and state[5:7] != (-1, -1)):
        raise Bad("a dtype with parts")
    if len(state) == 9:
        dtype = _date(dtype, state[8])
    return dtype if state[1] in ("|", "=") else dtype.newbyteorder(state[1])


def _date(dtype: Any, about: Any) -> Any:
    """A dtype of dates in the unit that ``({}, ("D", 1, 1, 1))`` tells."""
    unit = about[1] if isinstance(about, tuple) and len(about) == 2 else None
    if dtype.kind not in "mM" or not isinstance(unit, tuple) or len(unit) != 4 or type(unit[1]) is not int:
        raise Bad("a dtype with parts")
    name = unit[0].decode("ascii") if isinstance(unit[0], bytes) else str(unit[0])
    return dtype if name == "generic" else np.dtype(f"{dtype.kind}8[{unit[1]}{name}]")


def _reconstruct(kind: Any, shape: Any, code: Any) -> Pending:
    if kind is not np.ndarray:
        raise Bad("an array of a class of its own")
    return Pending()


def _array_state(blank: Any, state: Any) -> Array:
    if not isinstance(state, tuple) or len(state) != 5:
        raise Bad("an array without its parts")
    _, shape, dtype, fortran, data = state
    if isinstance(data, str):
        data = data.encode("latin1")
    return array_of(shape, dtype, data, "F" if fortran else "C")


def array_of(shape: Any, dtype: Any, data: Any, order: str = "C") -> Array:
    """An array of its bytes. Bad where they are not of that size."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or dtype.fields is not None:
        raise Bad("an array of other than numbers or text")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise Bad(f"an array of shape {shape!r:.60}")
    if not isinstance(data, (bytes, bytearray)) or math.prod(shape) * dtype.itemsize != len(data):
        raise Bad(f"an array of shape {shape} and dtype {dtype} with {len(data) if hasattr(data, '__len__') else 'no'} bytes")
    flat = np.frombuffer(bytearray(data), dtype) if data else np.empty(0, dtype)
    made = flat.reshape(shape, order=order)  # type: ignore[call-overload]
    return made.astype(dtype.newbyteorder("=")) if not dtype.isnative else made  # type: ignore[no-any-return]


def _scalar(dtype: Any, data: Any) -> Any:
    if isinstance(data, str):
        data = data.encode("latin1")
    return array_of((1,), dtype, data)[0]


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, *rest: Any) -> Array:
    return array_of(tuple(shape), dtype, bytes(data) if isinstance(data, (bytes, bytearray)) else data, str(order))


def _value(value: Any) -> Made:
    def refuse(*args: Any) -> Any:
        raise Bad(f"a call of {value!r}")

    return Made(refuse, value=value)


_set_made, _frozen = Made(_set, value=set), Made(lambda items=(): frozenset(_set(items)), value=frozenset)
PLAIN: Table = {
    ("_codecs", "encode"): Made(_encode), ("collections", "OrderedDict"): Made(_ordered, _ordered_state, OrderedDict),
    ("collections", "Counter"): Made(_counter, value=Counter), ("collections", "defaultdict"): Made(_default, value=defaultdict),
    ("collections", "deque"): Made(_deque, value=deque),
}  # fmt: skip
for _module in ("builtins", "__builtin__"):
    PLAIN |= {
        (_module, "set"): _set_made, (_module, "frozenset"): _frozen, (_module, "complex"): Made(_complex, value=complex),
        (_module, "bytearray"): Made(_bytearray, value=bytearray), (_module, "slice"): Made(_slice, value=slice),
        (_module, "bytes"): Made(_encode, value=bytes),
        **{(_module, t.__name__): _value(t) for t in (int, float, str, bool, list, dict, tuple)},
        (_module, "object"): _value(object), (_module, "long"): _value(int), (_module, "unicode"): _value(str),
    }  # fmt: skip
for _module in ("numpy._core", "numpy.core"):
    PLAIN |= {
        (f"{_module}.multiarray", "_reconstruct"): Made(_reconstruct, _array_state),
        (f"{_module}.multiarray", "scalar"): Made(_scalar), (f"{_module}.numeric", "_frombuffer"): Made(_frombuffer),
    }  # fmt: skip
PLAIN |= {("numpy", "ndarray"): _value(np.ndarray), ("numpy", "dtype"): Made(_dtype, _dtype_state, np.dtype)}


# ---- the machine -----------------------------------------------------------------------------------------------------------
class Machine:
    """One pickle under way. `table` says what its names stand for; `persistent` makes what the writer kept outside."""

    def __init__(
        self, data: bytes | memoryview, name: str, table: Table, persistent: Callable[[Any], Any] | None = None, start: int = 0
    ) -> None:
        self.data, self.name, self.table, self.persistent = bytes(data), name, table, persistent
        self.at, self.left = start, _SPARE + _COPIES * len(self.data)
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.states: dict[int, tuple[Any, Callable[[Any, Any], Any]]] = {}

    def load(self) -> Any:
        """The object; `at` then lies behind it. FileError for what is no pickle or does what none may."""
        try:
            while (code := self.byte()) != 0x2E:
                step = _STEPS.get(code)
                if step is None:
                    raise Bad(f"instruction {bytes((code,))!r}")
                step(self)
            return checked(self.stack.pop())
        except FusewireError:
            raise
        except Bad as error:
            raise FileError(f"{self.name} is damaged or hostile: it asks for {error}; nothing of it was run") from error
        except (IndexError, KeyError, struct.error, UnicodeError) as error:
            raise FileError(f"{self.name} is damaged or truncated: its pickle ends or points nowhere ({error!r})") from error
        except (TypeError, ValueError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
            raise FileError(f"{self.name} is damaged: {type(error).__name__}: {error}") from error

    # -- bytes
    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> bytes:
        """The next `count` bytes, which must be there."""
        if count < 0 or count > len(self.data) - self.at:
            raise Bad(f"{count} bytes where {len(self.data) - self.at} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: struct.Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def line(self) -> str:
        """A line's text."""
        return self.raw_line().decode("utf-8")

    def raw_line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Bad("a line without an end")
        text = self.data[self.at : end]
        self.at = end + 1
        return text

    def marked(self) -> list[Any]:
        """What lies above the last mark."""
        found, self.stack = self.stack, self.marks.pop()
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    # -- names and calls
    def name_of(self, module: str, name: str) -> None:
        try:
            self.push(self.table[module, name])
        except KeyError:
            raise self.refusal(module, name) from None

    def refusal(self, module: str, name: str) -> Exception:
        """The error for a name that is in no table."""
        return FileError(
            f"{self.name} asks for {module}.{name}, which is no tensor, container, number or text: nothing of it was run. "
            "If you trust the file and that class, name it to add_safe_globals"
        )

    def call(self, new: bool = False) -> None:
        args, made = self.stack.pop(), self.stack.pop()
        if not isinstance(made, Made) or not isinstance(args, tuple):
            raise Bad(f"a call of a {type(made).__name__}")
        self.spend(args)
        obj = (made.new if new else made.make)(*args)
        if made.state is not None:
            self.states[id(obj)] = obj, made.state
        self.push(obj)

    def build(self) -> None:
        state = checked(self.stack.pop())
        obj = self.stack[-1]
        found = self.states.pop(id(obj), None)
        if found is None:
            raise Bad(f"the state of a {type(obj).__name__}")
        self.spend(state if isinstance(state, tuple) else (state,))
        made = found[1](obj, state)
        if isinstance(obj, Pending):
            obj.made = made

    def spend(self, args: tuple[Any, ...]) -> None:
        """Count what is copied: a file that has one thing copied again and again makes more of it than it holds."""
        self.left -= sum(len(a) for a in args if isinstance(a, _COPIED))
        if self.left < 0:
            raise Bad("many copies of one thing")

    # -- containers
    def fill(self, kind: type) -> tuple[Any, list[Any]]:
        items = self.marked()
        target = self.stack[-1]
        if not isinstance(target, kind):
            raise Bad(f"items for a {type(target).__name__}")
        return target, [checked(i) for i in items]

    def pairs(self, items: list[Any], target: dict[Any, Any]) -> None:
        if len(items) % 2:
            raise Bad("a key without a value")
        for k, v in zip(items[::2], items[1::2], strict=True):
            dict.__setitem__(target, key(checked(k)), checked(v)) if type(target) is not OrderedDict else _put(target, k, v)


def _put(target: Any, k: Any, v: Any) -> None:
    target[key(checked(k))] = checked(v)


def checked(value: Any) -> Any:
    """`value` as it is outside of the machine."""
    if isinstance(value, Made):
        if value.value is None:
            raise Bad("a function as a value")
        return value.value
    if isinstance(value, Pending):
        if value.made is None:
            raise Bad("an array without its parts")
        return value.made
    return value


_U1, _U2, _I4, _U4, _U8, _F8 = (struct.Struct(f) for f in ("<B", "<H", "<i", "<I", "<Q", ">d"))


def _whole(text: str) -> Any:
    if text in ("00", "01"):
        return text == "01"
    if len(text) > _DIGITS:
        raise Bad(f"a number of {len(text)} digits")
    return int(text.removesuffix("L"))


def _long(m: Machine, count: int) -> int:
    return int.from_bytes(m.take(count), "little", signed=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _old_text(data: bytes) -> Any:
    """Text of Python 2, where it is ASCII; else its bytes."""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        return data


def _quoted(m: Machine) -> Any:
    text = m.raw_line()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in b"'\"":
        raise Bad("a text without quotes")
    return _old_text(text[1:-1].decode("unicode_escape").encode("latin1"))


def _tuple(m: Machine, count: int) -> None:
    if len(m.stack) < count:
        raise IndexError(count)
    m.stack[len(m.stack) - count :] = [tuple([checked(v) for v in m.stack[len(m.stack) - count :]])]


def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _append(m: Machine) -> None:
    value = checked(m.stack.pop())
    target = m.stack[-1]
    if not isinstance(target, (list, deque)):
        raise Bad(f"items for a {type(target).__name__}")
    target.append(value)


def _appends(m: Machine) -> None:
    target, items = m.fill((list, deque))  # type: ignore[arg-type]
    target.extend(items)


def _set_item(m: Machine) -> None:
    value, name = m.stack.pop(), m.stack.pop()
    if not isinstance(m.stack[-1], dict):
        raise Bad(f"items for a {type(m.stack[-1]).__name__}")
    m.pairs([name, value], m.stack[-1])


def _set_items(m: Machine) -> None:
    items = m.marked()
    if not isinstance(m.stack[-1], dict):
        raise Bad(f"items for a {type(m.stack[-1]).__name__}")
    m.pairs(items, m.stack[-1])


def _add_items(m: Machine) -> None:
    target, items = m.fill(set)
    target.update(key(i) for i in items)


def _dict(m: Machine) -> None:
    items, made = m.marked(), dict[Any, Any]()
    m.pairs(items, made)
    m.push(made)


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.marked()


def _global(m: Machine) -> None:
    module = m.line()
    m.name_of(module, m.line())


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise Bad("a name that is no text")
    m.name_of(module, name)


def _remember(m: Machine, number: int) -> None:
    m.memo[number] = m.stack[-1]


def _recall(m: Machine, number: int) -> None:
    m.push(m.memo[number])


def _persistent(m: Machine) -> None:
    words = m.stack.pop()
    if m.persistent is None:
        raise Bad("what lies outside of it")
    m.push(m.persistent(words))


def _protocol(m: Machine) -> None:
    if (number := m.byte()) > 5:
        raise Bad(f"protocol {number}")


def _pushes(read: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda m: m.push(read(m))


_STEPS: dict[int, Callable[[Machine], None]] = {
    code[0]: step
    for code, step in {
        b"\x80": _protocol, b"\x95": lambda m: m.number(_U8) and None, b"(": _mark, b"0": _pop, b"1": lambda m: m.marked() and
        None, b"2": lambda m: m.push(m.stack[-1]), b"N": lambda m: m.push(None), b"\x88": lambda m: m.push(True),
        b"\x89": lambda m: m.push(False), b"I": _pushes(lambda m: _whole(m.line())), b"L": _pushes(lambda m: _whole(m.line())),
        b"J": _pushes(lambda m: m.number(_I4)), b"K": _pushes(lambda m: m.byte()), b"M": _pushes(lambda m: m.number(_U2)),
        b"\x8a": _pushes(lambda m: _long(m, m.byte())), b"\x8b": _pushes(lambda m: _long(m, m.number(_I4))),
        b"F": _pushes(lambda m: float(m.line())), b"G": _pushes(lambda m: m.number(_F8)),
        b"X": _pushes(lambda m: _text(m.take(m.number(_U4)))), b"\x8c": _pushes(lambda m: _text(m.take(m.byte()))),
        b"\x8d": _pushes(lambda m: _text(m.take(m.number(_U8)))),
        b"V": _pushes(lambda m: m.raw_line().decode("raw_unicode_escape")), b"S": _pushes(_quoted),
        b"T": _pushes(lambda m: _old_text(m.take(m.number(_I4)))), b"U": _pushes(lambda m: _old_text(m.take(m.byte()))),
        b"B": _pushes(lambda m: m.take(m.number(_U4))), b"C": _pushes(lambda m: m.take(m.byte())),
        b"\x8e": _pushes(lambda m: m.take(m.number(_U8))), b"\x96": _pushes(lambda m: bytearray(m.take(m.number(_U8)))),
        b"]": lambda m: m.push([]), b")": lambda m: m.push(()), b"}": lambda m: m.push({}), b"\x8f": lambda m: m.push(set()),
        b"l": _pushes(lambda m: [checked(v) for v in m.marked()]), b"t": _pushes(lambda m: tuple([checked(v) for v in
        m.marked()])),
        b"d": _dict, b"\x91": _pushes(lambda m: frozenset(key(checked(v)) for v in m.marked())), b"\x90": _add_items,
        b"\x85": lambda m: _tuple(m, 1), b"\x86": lambda m: _tuple(m, 2), b"\x87": lambda m: _tuple(m, 3), b"a": _append, b"e":
        _appends,
        b"s": _set_item, b"u": _set_items, b"g": lambda m: _recall(m, int(m.line())), b"h": lambda m: _recall(m, m.byte()),
        b"j": lambda m: _recall(m, m.number(_U4)), b"p": lambda m: _remember(m, int(m.line())), b"q": lambda m: _remember(m,
        m.byte()), b"r": lambda m: _remember(m, m.number(_U4)), b"\x94": lambda m: _remember(m, len(m.memo)), b"c": _global,
        b"\x93": _stack_global, b"R": lambda m: m.call(), b"\x81": lambda m: m.call(True), b"b": lambda m: m.build(), b"Q":
        _persistent,
    }.items()
}  # fmt: skip
