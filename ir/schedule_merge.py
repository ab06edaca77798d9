"""Kernel -> Kernel: reductions over the same loops become one loop, equal statements one, and names are numbered in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .loops import Check, Compute, Const, Index, Kernel, Load, LoadAt, Loop, Param, Reduce, Running, Stmt, Store, StoreAt

Names = dict[str, str]


def merge(kernel: Kernel) -> Kernel:
    """The same kernel with loops merged where no statement between them depends on the first."""
    body = _shared(_merged(kernel.body), {}, {})
    names: Names = {}
    return replace(kernel, body=_numbered(body, names))


def _merged(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    out: list[Stmt] = []
    for st in body:
        if isinstance(st, Loop):
            st = replace(st, body=_merged(st.body))
        elif isinstance(st, Reduce):
            st = replace(st, body=_merged(st.body))
            joined = _joined(out, st)
            if joined is not None:
                out = joined
                continue
        out.append(st)
    return tuple(out)


def _joined(before: list[Stmt], st: Reduce) -> list[Stmt] | None:
    """`before` with `st` taken up into the latest reduction over the same axes; None where it depends on that one.
    Statements between that `st` needs move up with it."""
    needed, moved, stored = reads(st), list[Stmt](), set[str]()
    for i in range(len(before) - 1, -1, -1):
        other = before[i]
        if isinstance(other, Reduce) and other.axes == st.axes:
            if writes(other) & needed or stored & needed:
                return None
            both = Reduce(st.axes, other.body + st.body, other.accs + st.accs)
            kept = [s for s in before[i + 1 :] if not any(s is m for m in moved)]
            return [*before[:i], *moved[::-1], both, *kept]
        if isinstance(other, (Loop, Reduce, Store, StoreAt, Check)):
            stored |= writes(other)
            if writes(other) & needed or isinstance(other, Check) or _stored(st.body) & reads(other):
                return None
        elif other.dest in needed:
            needed |= reads(other)
            moved.append(other)
    return None


def writes(st: Stmt) -> set[str]:
    """Names that a statement defines for those after it, and the buffers it stores to."""
    if isinstance(st, Reduce):
        return {a.dest for a in st.accs} | _stored(st.body)
    if isinstance(st, Loop):
        return _stored(st.body)
    return {st.buffer} if isinstance(st, (Store, StoreAt)) else set() if isinstance(st, Check) else {st.dest}


def _stored(body: tuple[Stmt, ...]) -> set[str]:
    out: set[str] = set()
    for st in body:
        if isinstance(st, (Store, StoreAt)):
            out.add(st.buffer)
        elif isinstance(st, (Loop, Reduce)):
            out |= _stored(st.body)
    return out


def reads(st: Stmt) -> set[str]:
    """Names and buffers that a statement uses, nested ones included."""
    if isinstance(st, (Loop, Reduce)):
        inner = {name for s in st.body for name in reads(s)}
        return inner | ({a.value for a in st.accs} if isinstance(st, Reduce) else set())
    if isinstance(st, (Load, LoadAt)):
        return {st.buffer} | {n for n in (st.mask, getattr(st, "at", None)) if n}
    if isinstance(st, Compute):
        return set(st.args)
    if isinstance(st, Running):
        return {st.value}
    if isinstance(st, StoreAt):
        return {st.value, st.at} | ({st.buffer} if st.combine else set())
    return {st.value} if isinstance(st, Store) else {st.ok} if isinstance(st, Check) else set()


def _shared(body: tuple[Stmt, ...], names: Names, known: Mapping[Any, str]) -> tuple[Stmt, ...]:
    """Statements that define what is known already dropped; `names`: what to call a dropped name instead."""
    known = dict(known)
    out: list[Stmt] = []
    for st in body:
        st = renamed(st, names)
        if isinstance(st, (Loop, Reduce)):
            st = replace(st, body=_shared(st.body, names, known))
            stored = _stored(st.body)
            known = {k: v for k, v in known.items() if not (isinstance(k, (Load, LoadAt)) and k.buffer in stored)}
            if isinstance(st, Reduce):
                st = replace(st, accs=tuple(replace(a, value=names.get(a.value, a.value)) for a in st.accs))
            out.append(st)
            continue
        if isinstance(st, (Store, StoreAt)):
            known = {k: v for k, v in known.items() if not (isinstance(k, (Load, LoadAt)) and k.buffer == st.buffer)}
        if isinstance(st, (Load, LoadAt, Index, Const, Param, Compute)):
            key = _key(st)
            if key in known:
                names[st.dest] = known[key]
                continue
            known[key] = st.dest
        out.append(st)
    return tuple(out)


def _key(st: Any) -> Any:
    """What makes two defining statements equal: all but the name and the user's line."""
    if isinstance(st, Const):
        return repr(st.value), st.dtype
    if isinstance(st, Compute):
        return st.prim, st.args, st.dtype
    return replace(st, dest="")


def renamed(st: Any, names: Mapping[str, str]) -> Stmt:
    """A statement with the names it uses replaced (bodies of loops are left)."""
    def new(name: str | None) -> str | None:
        return name if name is None else names.get(name, name)

    if isinstance(st, Load):
        return Load(st.dest, st.buffer, st.index, new(st.mask)) if st.mask else st
    if isinstance(st, LoadAt):
        return LoadAt(st.dest, st.buffer, st.index, names.get(st.at, st.at), st.stride, new(st.mask))
    if isinstance(st, Compute):
        return Compute(st.dest, st.prim, tuple(names.get(a, a) for a in st.args), st.dtype, st.where)
    if isinstance(st, Store):
        return Store(st.buffer, st.index, names.get(st.value, st.value))
    if isinstance(st, Running):
        return replace(st, value=names.get(st.value, st.value))
    if isinstance(st, StoreAt):
        return replace(st, at=names.get(st.at, st.at), value=names.get(st.value, st.value))
    return Check(names.get(st.ok, st.ok), st.error) if isinstance(st, Check) else st  # type: ignore[no-any-return]


def renumbered(body: tuple[Stmt, ...], first: int) -> tuple[Stmt, ...]:
    """The same statements with their names numbered from `first` on."""
    return _numbered(body, {f"{i}": "" for i in range(first)})


def _numbered(body: tuple[Stmt, ...], names: Names) -> tuple[Stmt, ...]:
    out: list[Stmt] = []
    for st in body:
        st = renamed(st, names)
        if isinstance(st, Loop):
            st = replace(st, body=_numbered(st.body, names))
        elif isinstance(st, Reduce):
            inner = _numbered(st.body, names)
            values = [names.get(a.value, a.value) for a in st.accs]
            for a in st.accs:
                names[a.dest] = f"v{len(names)}"
            accs = tuple(replace(a, dest=names[a.dest], value=v) for a, v in zip(st.accs, values, strict=True))
            st = replace(st, body=inner, accs=accs)
        elif not isinstance(st, (Store, StoreAt, Check)):
            names[st.dest] = f"v{len(names)}"
            st = replace(st, dest=names[st.dest])
        out.append(st)
    return tuple(out)
