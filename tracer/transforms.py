"""Transforms of functions in a region (`grad`, `vmap`, `jvp` ...): the library's own code runs as it is on traced Tensors.

Where it calls the user's function the session follows that, and its walks over the tape are the graph's own backward passes
(`recorder.follow`); members of a batch are Tensors whose ops go through the batch rules, which record. A transform that cannot
be done whole is left to CPython: the graph breaks before its call.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, cast

from ..eager import batching, random
from ..eager.functional import stack
from ..nn.swapping import put
from .breaks import Break, Restart, ValueNeeded
from .special import models

if TYPE_CHECKING:
    from .session import Session


def call(s: Session, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of a function of the transforms' module, or of one that it gave before."""
    unit = s.frames[-1].unit_number
    for x in (*args, *kwargs.values()):
        _open(s, x)
    s.transforms += 1
    try:
        made = s.native(fn, *args, **kwargs)
    except (Break, ValueNeeded) as stop:
        broken = stop if isinstance(stop, Break) else stop.as_break()
        raise Restart(unit, broken.code, broken.what) from None
    finally:
        s.transforms -= 1
    for x in made if type(made) is tuple else (made,):
        if isinstance(x, types.FunctionType):
            s.only_here(x)
    return made


def _open(s: Session, x: Any, depth: int = 0) -> None:
    """Let the library look into containers from outside."""
    s.outside.open(x)
    if depth < 20 and isinstance(x, (list, tuple, dict)):
        for y in x.values() if isinstance(x, dict) else x:
            _open(s, y, depth + 1)


@models(put)
def _put(s: Session, slots: Any, values: Any) -> None:
    """`functional_call` exchanges a module's tensors and puts them back. Inside of a transform, where the graph does not break
    between the two, that is no effect."""
    if not s.transforms:
        s.inline(cast(types.FunctionType, put), [slots, values], {})
        return
    for name, (fields, key) in slots.items():
        s.outside.open(fields)
        dict.__setitem__(fields, key, values[name])


@models(batching.BatchGenerator.draw)
def _draw(s: Session, self: Any, blocks: Any) -> Any:
    """Where a random op inside of `vmap` takes its numbers from, see `batching.Level.draw`."""
    level = batching.active()[-1]
    if level.randomness != "different":
        if level.randomness == "error":
            s.native(level.draw, self, blocks)  # says why
        return s.call(random.Generator.draw, (self, blocks))
    states = [s.call(random.Generator.draw, (self, blocks)) for _ in range(level.size)]
    return level.wrap(s.native(stack, states))
