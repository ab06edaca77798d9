"""Gradient modes as decorators: of generators, and of functions defined while another mode holds."""

from __future__ import annotations

from collections.abc import Iterator

import fusewire as fw


@fw.no_grad()
def _steps(seen: list[bool]) -> Iterator[int]:
    try:
        seen.append(fw.is_grad_enabled())
        got = yield 1
        seen.append(fw.is_grad_enabled())
        try:
            yield got
        except KeyError:
            seen.append(fw.is_grad_enabled())
            yield 3
    finally:
        seen.append(fw.is_grad_enabled())


def test_every_step_of_a_generator_runs_in_the_mode_and_its_caller_does_not() -> None:
    seen: list[bool] = []
    steps = _steps(seen)
    assert next(steps) == 1 and fw.is_grad_enabled()
    assert steps.send(7) == 7 and fw.is_grad_enabled()
    assert steps.throw(KeyError("k")) == 3 and fw.is_grad_enabled()
    steps.close()
    assert seen == [False] * 4 and fw.is_grad_enabled()


def test_a_generator_returns_its_value() -> None:
    @fw.no_grad()
    def gives() -> Iterator[int]:
        yield 1
        return 5

    def outer() -> Iterator[int]:
        got = yield from gives()
        yield got

    assert list(outer()) == [1, 5]


def test_set_grad_enabled_as_a_decorator_changes_nothing_outside() -> None:
    @fw.set_grad_enabled(False)
    def inside() -> bool:
        return fw.is_grad_enabled()

    assert fw.is_grad_enabled()
    assert not inside()
    assert fw.is_grad_enabled()
