"""Loads, stores, masks and lane shuffles as LLVM text. Knows addresses, not kernels."""

from __future__ import annotations

from collections.abc import Callable

from ...ir.dtypes import DType
from ...ir.lazyclass import dataclass
from ...ir.sizes import Call
from . import intmath
from .lanes import Lanes, memory_element, suffix
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Place:
    """`step` 1 or -1: lanes lie side by side, lane 0 at element `index` + `offset`; 0: `index` is a vector of elements."""

    index: str
    offset: int
    step: int


@dataclass(frozen=True, slots=True)
class Access:
    """One buffer. `pure`: reads may move outward, down to level `floor`."""

    w: Writer
    dtype: DType
    pointer: str
    pure: bool
    floor: int

    def _read(self, text: str) -> str:
        return self.w.let(text, self.floor) if self.pure else self.w.here(text)

    def _element(self, index: str) -> str:
        return (
            self.w.let(f"getelementptr {memory_element(self.dtype)}, ptr {self.pointer}, i64 {index}")
            if index != "0"
            else self.pointer
        )

    # ---- one element ----------------------------------------------------------------------------------------------
    def load_one(self, index: str, mask: str | None) -> str:
        """One element as a scalar; zero where the i1 `mask` is false."""
        stored, one = memory_element(self.dtype), Lanes(self.w, 1)
        if mask is None:
            return self._from_memory(one, self._read(f"load {stored}, ptr {self._element(index)}, align {self.dtype.itemsize}"))
        lane = f"<1 x {stored}>"
        bits = self.w.let(f"insertelement <1 x i1> poison, i1 {mask}, i64 0")
        raw = self._masked_load(lane, self._element(index), f"<1 x i1> {bits}")
        return self._from_memory(one, self.w.let(f"extractelement {lane} {raw}, i64 0"))

    def store_one(self, index: str, value: str) -> None:
        """Stores a scalar."""
        raw = self._to_memory(Lanes(self.w, 1), value)
        self.w.do(f"store {memory_element(self.dtype)} {raw}, ptr {self._element(index)}, align {self.dtype.itemsize}")

    # ---- vectors --------------------------------------------------------------------------------------------------
    def load(self, lanes: Lanes, place: Place, mask: str | None) -> str:
        """A vector; lanes outside `mask` are zero and are not read."""
        if lanes.n == 1:
            return self.load_one(place.index, mask)
        stored = lanes.type(memory_element(self.dtype))
        bits = f"{lanes.type('i1')} "
        if place.step == 0:
            active = bits + (mask or lanes.const(True, "i1"))
            raw = self._gather(lanes, stored, place.index, active)
        else:
            address = self._first(lanes, place)
            mask = reverse(lanes, "i1", mask) if mask and place.step < 0 else mask
            if mask is None:
                raw = self._read(f"load {stored}, ptr {address}, align {self.dtype.itemsize}")
            else:
                raw = self._masked_load(stored, address, bits + mask)
            raw = reverse(lanes, memory_element(self.dtype), raw) if place.step < 0 else raw
        return self._from_memory(lanes, raw)

    def load_every(self, lanes: Lanes, index: str, offset: int, step: int, mask: str | None) -> str:
        """Every `step`-th element from `index` + `offset` on, as vectors side by side and shuffles; reads nothing behind the
        last one, and under a mask nothing that it leaves out."""
        element, n = memory_element(self.dtype), lanes.n
        stored, last = lanes.type(element), (n - 1) * step
        starts = [*range(0, last + 1 - n, n), last + 1 - n]
        taken, raw = 0, ""
        for start in starts:
            address = self._first(lanes, Place(index, offset + start, 1))
            if mask is None:
                vector = self._read(f"load {stored}, ptr {address}, align {self.dtype.itemsize}")
            else:
                bits, at = lanes.type("i1"), _order([n if k % step else k // step for k in range(start, start + n)])
                wanted = lanes.w.let(f"shufflevector {bits} {mask}, {bits} zeroinitializer, {at}")
                vector = self._masked_load(stored, address, f"{bits} {wanted}")
            here = [k for k in range(taken, n) if k * step < start + n]
            order = list(range(n))
            for k in here:
                order[k] = n + k * step - start
            raw = lanes.w.let(f"shufflevector {stored} {raw or 'poison'}, {stored} {vector}, {_order(order)}")
            taken += len(here)
        return self._from_memory(lanes, raw)

    def store_interleaved(self, lanes: Lanes, index: str, offset: int, values: list[str]) -> None:
        """The first lane of each of `values`, the second of each, and so on, from `index` + `offset` on."""
        element, n, count = memory_element(self.dtype), lanes.n, len(values)
        raw = [self._to_memory(lanes, v) for v in values]
        while len(raw) & (len(raw) - 1):
            raw.append("poison")
        width = n
        while len(raw) > 1:
            t, order = f"<{width} x {element}>", _order(list(range(2 * width)))
            raw = [lanes.w.let(f"shufflevector {t} {a}, {t} {b}, {order}") for a, b in zip(raw[::2], raw[1::2], strict=True)]
            width *= 2
        t, order = f"<{width} x {element}>", _order([v * n + lane for lane in range(n) for v in range(count)])
        whole = lanes.w.let(f"shufflevector {t} {raw[0]}, {t} poison, {order}")
        address = self._first(lanes, Place(index, offset, 1))
        self.w.do(f"store <{n * count} x {element}> {whole}, ptr {address}, align {self.dtype.itemsize}")

    def store(self, lanes: Lanes, place: Place, value: str, mask: str | None) -> None:
        """Stores the lanes inside `mask` (None: all)."""
        if lanes.n == 1:
            self.store_one(place.index, value)
            return
        element = memory_element(self.dtype)
        stored, raw, bits = lanes.type(element), self._to_memory(lanes, value), f"{lanes.type('i1')} "
        if place.step == 0:
            addresses = self._addresses(lanes, place.index)
            many = lanes.type("ptr")
            active = bits + (mask or lanes.const(True, "i1"))
            self._run(f"llvm.masked.scatter.{suffix(stored)}.v{lanes.n}p0", f"{stored} {raw}", f"{many} {addresses}", active)
            return
        address = self._first(lanes, place)
        only = _only_lane(mask)
        if only is not None:  # LLVM makes this masked store a scalar one of the width before a truncation: two bytes too many
            one = self.w.let(f"extractelement {stored} {raw}, i64 {only}")
            at = lanes.n - 1 - only if place.step < 0 else only
            there = self.w.let(f"getelementptr {element}, ptr {address}, i64 {at}") if at else address
            self.w.do(f"store {element} {one}, ptr {there}, align {self.dtype.itemsize}")
            return
        if place.step < 0:
            raw, mask = reverse(lanes, element, raw), reverse(lanes, "i1", mask) if mask else None
        if mask is None:
            self.w.do(f"store {stored} {raw}, ptr {address}, align {self.dtype.itemsize}")
        else:
            self._run(f"llvm.masked.store.{suffix(stored)}.p0", f"{stored} {raw}", f"ptr {address}", bits + mask)

    def _first(self, lanes: Lanes, place: Place) -> str:
        """Address of the lowest element that a run of lanes touches."""
        base = self._element(place.index)
        offset = place.offset - (lanes.n - 1 if place.step < 0 else 0)
        return self.w.let(f"getelementptr {memory_element(self.dtype)}, ptr {base}, i64 {offset}") if offset else base

    def _addresses(self, lanes: Lanes, index: str) -> str:
        return self.w.let(f"getelementptr {memory_element(self.dtype)}, ptr {self.pointer}, {lanes.type('i64')} {index}")

    def _masked_load(self, stored: str, address: str, mask: str) -> str:
        name = f"llvm.masked.load.{suffix(stored)}.p0"
        arguments = (f"ptr {address}", f"i32 {self.dtype.itemsize}", mask, f"{stored} zeroinitializer")
        self.w.declare(stored, name, *arguments)
        return self._read(f"call {stored} @{name}({', '.join(arguments)})")

    def _gather(self, lanes: Lanes, stored: str, index: str, mask: str) -> str:
        many = lanes.type("ptr")
        name = f"llvm.masked.gather.{suffix(stored)}.v{lanes.n}p0"
        arguments = (f"{many} {self._addresses(lanes, index)}", f"i32 {self.dtype.itemsize}", mask, f"{stored} zeroinitializer")
        self.w.declare(stored, name, *arguments)
        return self._read(f"call {stored} @{name}({', '.join(arguments)})")

    def _run(self, name: str, value: str, address: str, mask: str) -> None:
        arguments = (value, address, f"i32 {self.dtype.itemsize}", mask)
        self.w.declare("void", name, *arguments)
        self.w.do(f"call void @{name}({', '.join(arguments)})")

    # ---- stored form and register form (they differ for bool only) ----------------------------------------------------
    def _from_memory(self, lanes: Lanes, raw: str) -> str:
        return lanes.op("icmp ne", "i8", raw, lanes.const(0, "i8")) if self.dtype.kind == "b" else raw

    def _to_memory(self, lanes: Lanes, value: str) -> str:
        return lanes.convert("zext", "i1", "i8", value) if self.dtype.kind == "b" else value


def reverse(lanes: Lanes, element: str, value: str) -> str:
    """The lanes in opposite order."""
    order = ", ".join(f"i32 {k}" for k in reversed(range(lanes.n)))
    t = lanes.type(element)
    return lanes.w.let(f"shufflevector {t} {value}, {t} poison, <{lanes.n} x i32> <{order}>")


def _order(lanes: list[int]) -> str:
    return f"<{len(lanes)} x i32> <{', '.join(f'i32 {k}' for k in lanes)}>"


def halves(lanes: Lanes, element: str, value: str) -> tuple[str, str]:
    """The lower and the upper half of the lanes; scalars where there are two."""
    t, half = lanes.type(element), lanes.n // 2
    if half == 1:
        return lanes.w.let(f"extractelement {t} {value}, i64 0"), lanes.w.let(f"extractelement {t} {value}, i64 1")
    orders = [", ".join(f"i32 {k}" for k in range(start, start + half)) for start in (0, half)]
    low, high = (lanes.w.let(f"shufflevector {t} {value}, {t} poison, <{half} x i32> <{order}>") for order in orders)
    return low, high


def any_lane(lanes: Lanes, value: str) -> str:
    """Whether an i1 is true in any lane."""
    if lanes.n == 1:
        return value
    t = lanes.type("i1")
    return lanes.w.call("i1", f"llvm.vector.reduce.or.{suffix(t)}", f"{t} {value}")


def in_range(lanes: Lanes, first: str, end: str, add: Callable[[str, str], str]) -> str:
    """Which lanes hold an index below `end` when lane 0 holds `first`."""
    if not first.startswith("%") and not end.startswith("%"):
        return "<" + ", ".join(f"i1 {'true' if int(first) + k < int(end) else 'false'}" for k in range(lanes.n)) + ">"
    w = lanes.w
    left = w.let(f"sub i64 {end}, {first}")
    left = w.call("i64", "llvm.smin.i64", f"i64 {left}", f"i64 {lanes.n}")
    count = lanes.splat(w.let(f"trunc i64 {left} to i32"), "i32")
    return lanes.op("icmp ult", "i32", lanes.iota("i32"), count)


def short_quotient(lanes: Lanes, atom: Call, a: str, b: str) -> str:
    """`quotient` where `a` is not negative and fits 31 bits: vectors divide by a constant there, but not in 64 bits."""
    if not isinstance(atom.b, int) or atom.b & (atom.b - 1) == 0:
        return quotient(lanes, atom, a, b, nonnegative=True)
    name = "udiv" if atom.fn == "floordiv" else "urem"
    short = lanes.op(name, "i32", lanes.convert("trunc", "i64", "i32", a), lanes.const(atom.b, "i32"))
    return lanes.convert("zext", "i32", "i64", short)


def quotient(lanes: Lanes, atom: Call, a: str, b: str, nonnegative: bool) -> str:
    """``a // b`` or ``a % b`` of an index, `b` positive; shifts and masks where `b` is a power of two."""
    divide = atom.fn == "floordiv"
    if isinstance(atom.b, int) and atom.b > 0 and atom.b & (atom.b - 1) == 0:
        if divide:
            return lanes.op("ashr", "i64", a, lanes.const(atom.b.bit_length() - 1, "i64"))
        return lanes.op("and", "i64", a, lanes.const(atom.b - 1, "i64"))
    return (intmath.divide if divide else intmath.modulo)(lanes, "i64", not nonnegative, a, b)


def _only_lane(mask: str | None) -> int | None:
    """The number of the only lane inside a constant mask; None for other masks."""
    if mask is None or not mask.startswith("<"):
        return None
    lanes = [part.split()[-1] for part in mask.strip("<>").split(",")]
    inside = [i for i, bit in enumerate(lanes) if bit in ("true", "1")]
    return inside[0] if len(inside) == 1 else None
