"""Sending and receiving tensors between two ranks. Messages keep the order of the calls, whatever their `tag`."""

from __future__ import annotations

from typing import Any

from .groups import current
from .links import Work
from .payloads import array_of, store


class P2POp:
    """One call of `isend` or `irecv` for `batch_isend_irecv`."""

    def __init__(self, op: Any, tensor: Any, peer: int, group: Any = None, tag: int = 0) -> None:
        self.op, self.tensor, self.peer, self.group = op, tensor, peer, group


def send(tensor: Any, dst: int, group: Any = None, tag: int = 0) -> None:
    """Give `tensor` to rank `dst`, which calls `recv`."""
    current(group).links.send(dst, array_of(tensor).tobytes())


def recv(tensor: Any, src: int, group: Any = None, tag: int = 0) -> int:
    """Into `tensor` what rank `src` sends; gives `src`."""
    store(tensor, current(group).links.receive(src))
    return src


def isend(tensor: Any, dst: int, group: Any = None, tag: int = 0) -> Work:
    """`send` in a thread: ``wait()`` before `tensor` is written to."""
    links, raw = current(group).links, array_of(tensor).tobytes()
    turn = links.turn("send", dst)
    return Work(links.later(lambda: links.send(dst, raw, turn)))


def irecv(tensor: Any, src: int, group: Any = None, tag: int = 0) -> Work:
    """`recv` in a thread: ``wait()`` before `tensor` is read."""
    links = current(group).links
    turn = links.turn("receive", src)
    return Work(links.later(lambda: store(tensor, links.receive(src, turn))))


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """All these calls at once."""
    return [p.op(p.tensor, p.peer, p.group) for p in p2p_op_list]
