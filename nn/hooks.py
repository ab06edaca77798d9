"""Handles of module hooks. Hooks are kept in ordered dicts of the module itself; a handle only knows which and where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from typing import Any

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook returns."""

    __slots__ = ("hooks", "id")

    def __init__(self, hooks: MutableMapping[int, Any]) -> None:
        self.hooks = hooks
        self.id = next(_ids)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(hooks: dict[int, Any], hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    """Enter `hook`, last or first; its handle."""
    handle = RemovableHandle(hooks)
    if prepend:
        later = dict(hooks)
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(later)
    else:
        hooks[handle.id] = hook
    return handle
