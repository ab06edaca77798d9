"""Sizes: the normal form and every simplification against plain integers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusewire.errors import ParseError
from fusewire.ir import size_text, sizes, solve

TOP = {"a": 7, "b": 5, "n": 6, "i": 5, "j": 3}
A, B, N = sizes.symbol("a"), sizes.symbol("b", 1, 5), sizes.symbol("n", 1)
SYMBOLS = {"a": A, "b": B, "n": N, "i": sizes.symbol("i", 0, N - 1), "j": sizes.symbol("j", 0, 3)}
POINT = st.builds(
    lambda a, b, n, i, j: {"a": a, "b": b, "n": n, "i": min(i, n - 1), "j": j},
    st.integers(0, 7), st.integers(1, 5), st.integers(1, 6), st.integers(0, 5), st.integers(0, 3),
)  # fmt: skip
BINARY = {
    "add": (lambda x, y: x + y, lambda x, y: x + y), "sub": (lambda x, y: x - y, lambda x, y: x - y),
    "mul": (lambda x, y: x * y, lambda x, y: x * y), "min": (sizes.minimum, min), "max": (sizes.maximum, max),
    "floordiv": (sizes.floordiv, lambda x, y: x // y), "mod": (sizes.mod, lambda x, y: x % y),
}  # fmt: skip
LEAF = st.sampled_from(sorted(SYMBOLS)) | st.integers(-3, 9)
DIVISOR = st.sampled_from(["b", "n", ("mul", "b", "n"), ("add", "n", 1), ("mul", 2, "n"), ("add", "n", "b")]) | st.integers(1, 8)


def _grow(children: st.SearchStrategy) -> st.SearchStrategy:
    plain = st.tuples(st.sampled_from(["add", "sub", "mul", "min", "max"]), children, children)
    return plain | st.tuples(st.sampled_from(["floordiv", "mod"]), children, DIVISOR | st.sampled_from([-3, -2]))


TREES = st.recursive(LEAF, _grow, max_leaves=6)
CHECK = settings(max_examples=400, derandomize=True, deadline=None, database=None)


def build(tree: object) -> sizes.Size:
    """The tree as a Size."""
    if isinstance(tree, tuple):
        return BINARY[tree[0]][0](build(tree[1]), build(tree[2]))
    return SYMBOLS[tree] if isinstance(tree, str) else tree


def count(tree: object, point: dict[str, int]) -> int:
    """The tree in plain integers."""
    if isinstance(tree, tuple):
        return BINARY[tree[0]][1](count(tree[1], point), count(tree[2], point))
    return point[tree] if isinstance(tree, str) else tree


@CHECK
@given(TREES, POINT)
def test_normal_form_respects_evaluation(tree: object, point: dict[str, int]) -> None:
    assert sizes.evaluate(build(tree), point) == count(tree, point)


@CHECK
@given(TREES, POINT)
def test_bounds_hold_the_value(tree: object, point: dict[str, int]) -> None:
    lo, hi = sizes.bounds(build(tree))
    value = count(tree, point)
    assert (lo is None or lo <= value) and (hi is None or value <= hi)


@CHECK
@given(TREES)
def test_text_reads_back(tree: object) -> None:
    size = build(tree)
    assert size_text.parse(str(size), SYMBOLS) == size


@CHECK
@given(TREES, TREES, POINT)
def test_equal_is_never_wrong(x: object, y: object, point: dict[str, int]) -> None:
    told = sizes.equal(build(x), build(y))
    assert told is None or told == (count(x, point) == count(y, point))


@CHECK
@given(TREES, TREES, TREES)
def test_addition_and_multiplication_have_one_normal_form(x: object, y: object, z: object) -> None:
    a, b, c = build(x), build(y), build(z)
    assert a + b == b + a and (a + b) + c == a + (b + c)
    assert a * b == b * a and a * (b + c) == a * b + a * c
    assert a - a == 0 and hash(a + b) == hash(b + a)


@CHECK
@given(TREES, DIVISOR, POINT)
def test_quotient_and_remainder_make_the_whole(x: object, d: object, point: dict[str, int]) -> None:
    a, b = build(x), build(d)
    whole = sizes.floordiv(a, b) * b + sizes.mod(a, b)
    assert sizes.equal(whole, a) is not False
    assert sizes.evaluate(whole, point) == sizes.evaluate(sizes.simplify(whole), point) == count(x, point)


@CHECK
@given(TREES, TREES, POINT)
def test_substitution_then_evaluation_is_evaluation(x: object, inner: object, point: dict[str, int]) -> None:
    value = count(inner, point)
    if value >= 0:  # symbols are not negative
        put = sizes.substitute(build(x), {"a": build(inner)})
        assert sizes.evaluate(put, point) == count(x, point | {"a": value})


@pytest.mark.parametrize(("got", "want"), [
    (sizes.floordiv(SYMBOLS["i"] + N * A, N), "a"),
    (sizes.mod(SYMBOLS["i"] + N * A, N), "i"),
    (sizes.floordiv(SYMBOLS["j"] + 4 * A, 4), "a"),
    (sizes.mod(A * 4 + 7, 4), "3"),
    (sizes.floordiv(A * N + A, N + 1), "a"),
    (sizes.mod(A * N + A, N + 1), "0"),
    (sizes.floordiv(sizes.floordiv(A, 3), 4), "(a // 12)"),
    (sizes.mod(sizes.mod(A, 12), 4), "(a % 4)"),
    (sizes.floordiv(A, -3), "((-a) // 3)"),
    (sizes.simplify(3 * sizes.floordiv(A, 3) + sizes.mod(A, 3) + 1), "a + 1"),
    (sizes.minimum(A, A + 1), "a"),
    (sizes.maximum(B, 9), "9"),
    (A * A - 2 * B * A + 3, "a*a - 2*a*b + 3"),
])  # fmt: skip
def test_what_index_arithmetic_relies_on(got: sizes.Size, want: str) -> None:
    assert str(got) == want


def test_certainty() -> None:
    assert sizes.equal(A + 1, A) is False
    assert sizes.equal(A, B) is None
    assert sizes.equal(sizes.mod(A, 4) + 4 * sizes.floordiv(A, 4), A) is True
    assert sizes.bounds(N - SYMBOLS["j"]) == (-2, None)
    assert sizes.bounds((A - 3) * (B - 3)) == (None, None)


@pytest.mark.parametrize("text", ["", "a +", "a b", "(a", "a ** 2", "min(a)", "a / 2", "a)"])
def test_text_that_is_no_size(text: str) -> None:
    with pytest.raises(ParseError):
        size_text.parse(text)


def test_division_by_zero_is_refused() -> None:
    for divide in (sizes.floordiv, sizes.mod):
        with pytest.raises(ZeroDivisionError, match="a is divided by 0"):
            divide(A, 0)


def test_a_size_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(A)


def test_symbols_are_solved_from_sizes() -> None:
    pairs = [(2 * A + 1, 7), (A * B, 12), (N + A, 10), (3, 3)]
    assert solve.solve(pairs, {}) == {"a": 3, "b": 4, "n": 7}
    assert solve.solvable([2 * A + 1, A * B], []) == {"a"}  # a may be 0: then the product says nothing of b
    assert solve.solvable([N, N * A, sizes.floordiv(B, 2)], []) == {"n", "a"}
    assert solve.solve([(2 * A, 7)], {}) == {}


def test_every_small_index_regroups_exactly() -> None:
    for n, m in itertools.product((1, 2, 3), (1, 3, 4)):
        i, j = sizes.symbol("i", 0, n - 1), sizes.symbol("j", 0, m - 1)
        flat = i * m + j
        assert str(sizes.mod(sizes.floordiv(flat, m), 5)) == ("i" if m > 1 else "i + j")
        for x, y in itertools.product(range(n), range(m)):
            at = {"i": x, "j": y}
            assert (sizes.evaluate(sizes.floordiv(flat, m), at), sizes.evaluate(sizes.mod(flat, m), at)) == (x, y)


def test_divisors_whose_first_term_is_negative() -> None:
    for low in (0, 1, 2):
        n = sizes.symbol("n", low)
        half = sizes.floordiv(n * -1, 2) * -1  # rounded up
        rest, count = sizes.mod(n, half), sizes.floordiv(n, half)
        assert sizes.equal(rest, 0) is None
        for value in range(max(low, 1), 9):
            at, divisor = {"n": value}, -(-value // 2)
            assert (sizes.evaluate(rest, at), sizes.evaluate(count, at)) == (value % divisor, value // divisor)
