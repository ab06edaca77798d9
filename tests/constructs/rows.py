"""The registry of the construct table: one row per Python construct, the same text for fusewire and PyTorch.

    @construct("a closure is read")
    def closure(torch):
        ...
        return function                       # called three times with `inputs(torch)`
        return Case(function, calls, ...)     # or with more to say

A builder makes everything afresh, outer objects included: eager and compiled runs share nothing. Knows neither compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    """What a row runs. `calls`: argument tuples (default: three of one tensor). `state`: outer objects that the calls may change.
    `between`: called with the number of the call that comes next."""

    function: Callable[..., Any]
    calls: Sequence[tuple[Any, ...]] | None = None
    state: Callable[[], Any] = lambda: None
    between: Callable[[int], None] = lambda k: None


@dataclass(frozen=True)
class Construct:
    """A row. `torch`: whether PyTorch can run the text. Where rows break says tests/golden/constructs.txt."""

    name: str
    theme: str
    build: Callable[[Any], Any] = field(repr=False)
    torch: bool = True

    def case(self, torch: Any) -> Case:
        """A fresh case on the tensor library `torch`."""
        made = self.build(torch)
        case = made if isinstance(made, Case) else Case(made)
        if case.calls is None:
            case.calls = inputs(torch)
        return case


ROWS: list[Construct] = []


def construct(name: str, *, torch: bool = True) -> Callable[[Callable[[Any], Any]], Any]:
    """Decorator: enter a row. `torch=False`: PyTorch cannot run the text at all."""

    def enter(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if any(row.name == name for row in ROWS):
            raise ValueError(f"two rows named {name!r}")
        ROWS.append(Construct(name, build.__module__.removeprefix("rows_"), build, torch))
        return build

    return enter


def inputs(torch: Any, *numbers: float) -> list[tuple[Any, ...]]:
    """Three argument tuples of one tensor of four floats."""
    base = list(numbers) or [0.5, -1.0, 2.0, 3.5]
    return [(torch.tensor([x * k + k - 1 for x in base]),) for k in (1, 2, 3)]


def load() -> list[Construct]:
    """All rows, in the order of the files."""
    if not ROWS:
        import rows_async
        import rows_breaks
        import rows_classes
        import rows_containers
        import rows_control
        import rows_effects
        import rows_functions
        import rows_generators
        import rows_modules
        import rows_tensors
    return ROWS
