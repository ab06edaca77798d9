"""Writes that machine code makes straight into their target, beside the op and a copy, and beside PyTorch where it is."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest

import fusewire as fw
from fusewire.eager import direct

TORCH = importlib.util.find_spec("torch") is not None

#: calls of (library, target, operands a and b, mask)
WRITES = {
    "add_": lambda lib, x, a, b, m: x.add_(a), "add_ number": lambda lib, x, a, b, m: x.add_(2.5),
    "add_ int": lambda lib, x, a, b, m: x.add_(3), "add_ alpha": lambda lib, x, a, b, m: x.add_(a, alpha=0.3),
    "sub_ alpha": lambda lib, x, a, b, m: x.sub_(a, alpha=2), "add_ self": lambda lib, x, a, b, m: x.add_(x),
    "mul_ row": lambda lib, x, a, b, m: x.mul_(a[0]), "div_": lambda lib, x, a, b, m: x.div_(a),
    "neg_": lambda lib, x, a, b, m: x.neg_(),
    "relu_": lambda lib, x, a, b, m: x.relu_(), "clamp_": lambda lib, x, a, b, m: x.clamp_(-0.5, 0.7),
    "clamp_ low": lambda lib, x, a, b, m: x.clamp_(min=-0.0), "masked_fill_": lambda lib, x, a, b, m: x.masked_fill_(m, -1.5),
    "masked_fill_ nan": lambda lib, x, a, b, m: x.masked_fill_(m, float("nan")),
    "masked_fill_ row": lambda lib, x, a, b, m: x.masked_fill_(m[0], 2),
    "addcmul_": lambda lib, x, a, b, m: x.addcmul_(a, b, value=0.5), "addcmul_ self": lambda lib, x, a, b, m: x.addcmul_(x, b),
    "addcdiv_": lambda lib, x, a, b, m: x.addcdiv_(a, b, value=-2), "lerp_": lambda lib, x, a, b, m: x.lerp_(a, 0.25),
    "lerp_ tensor": lambda lib, x, a, b, m: x.lerp_(a, b), "add out": lambda lib, x, a, b, m: lib.add(a, b, out=x),
    "mul out": lambda lib, x, a, b, m: lib.mul(a, 0.1, out=x), "out is an operand": lambda lib, x, a, b, m: lib.sub(x, b, out=x),
    "clamp out": lambda lib, x, a, b, m: lib.clamp(a, -0.1, 0.1, out=x),
    "out of comparison": lambda lib, x, a, b, m: lib.lt(a, b, out=x),
    "abs out": lambda lib, x, a, b, m: lib.abs(a, out=x), "div out": lambda lib, x, a, b, m: lib.div(a, b, out=x),
}  # fmt: skip


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The third call of a kind is machine code."""
    for name in ("WAIT", "WAIT_MIDDLE", "WAIT_LARGE"):
        monkeypatch.setattr(direct, name, 2)
    direct._table.clear()
    yield
    direct._table.clear()


def _served():
    return [known for known in direct._table.values() if callable(known)]


def _given(lib, dtype="float32", form="dense"):
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=(6, 10)).astype(dtype) for _ in range(3)]
    x, a, b = (lib.from_numpy(v.copy()) for v in arrays)
    if form == "transposed":
        x, a = x.t().contiguous().t(), a.t().contiguous().t()
    elif form == "part":
        x = lib.cat([x, x, x], 1)[:, 5:15]
    return x, a, b, a > 0


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("dtype, form", [("float32", "part"), ("float64", "transposed"), ("int32", "dense")])
def test_the_values_are_those_of_the_op_and_of_pytorch(name, dtype, form):
    if (form != "part" and not TORCH) or (dtype == "int32" and name in ("addcmul_", "masked_fill_ nan")):
        pytest.skip("beside PyTorch only; and numbers that integers do not hold")
    call = WRITES[name]

    def runs(lib, times):
        x, a, b, m = _given(lib, dtype, form)
        version = x._version
        try:
            for _ in range(times):
                assert call(lib, x, a, b, m) is x
        except (RuntimeError, TypeError) as error:
            return type(error).__mro__
        return x.numpy().copy(), x.stride(), x._version - version

    first = runs(fw, 4)  # two by the op, two by machine code
    with fw.knobs.override(hot_ops=False):
        plain = runs(fw, 4)
    others = [plain, *([runs(__import__("torch"), 4)] if TORCH else [])]
    for other in others:
        if isinstance(first, tuple) and isinstance(first[0], type):
            assert isinstance(other[0], type) and RuntimeError in (*first, TypeError)
            continue
        within = 0 if other is plain else 2e-6
        np.testing.assert_allclose(first[0], other[0], rtol=within, atol=within)
        assert first[1:] == other[1:]


def test_these_writes_are_machine_code():
    x, a, b, m = _given(fw)
    for name in ("add_", "add_ alpha", "add_ self", "relu_", "clamp_", "masked_fill_", "addcmul_", "lerp_", "add out", "abs out"):
        before = len(_served())
        for _ in range(4):
            WRITES[name](fw, x, a, b, m)
        assert len(_served()) == before + 1, name


def test_numbers_are_inputs_of_what_is_compiled():
    x, a, _, _ = _given(fw)
    wanted = x.numpy().copy()
    for i in range(40):
        x.add_(a, alpha=0.1 * i + 0.05)
        wanted = wanted + a.numpy() * np.float32(0.1 * i + 0.05)
    np.testing.assert_array_equal(x.numpy(), wanted)
    assert len(_served()) <= 2  # add_ with alpha, and what its first calls are made of


@pytest.mark.parametrize("write", ["add_", "addcmul_", "add out"])
def test_operands_that_share_memory_with_the_target(write):
    for shift in (0, 1):
        base = np.arange(12, dtype=np.float32)
        for _ in range(5):
            memory = base.copy()
            x, y = fw.from_numpy(memory[shift:8 + shift]), fw.from_numpy(memory[:8])  # two storages on one memory
            WRITES[write](fw, x, y, y, None)
            a, b = base[:8], base[shift:8 + shift]
            wanted = {"add_": b + a, "addcmul_": b + a * a * np.float32(0.5), "add out": a + a}
            np.testing.assert_array_equal(x.numpy(), wanted[write])
    shared = fw.arange(9.0)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="single memory location"):
            fw.add(shared[:-1], 1, out=shared[1:])


def test_histories_views_and_versions():
    for _, recorded in itertools.product(range(5), (False, True)):
        w = fw.ones(4, requires_grad=recorded)
        y = w * 3
        z = y * y
        view = y[1:]
        before = y._version
        view.mul_(2.0)
        assert y._version == before + 1
        assert y.tolist() == [3.0, 6.0, 6.0, 6.0]
        if recorded:
            assert view.requires_grad and y.requires_grad
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                z.sum().backward()
            with pytest.raises(RuntimeError, match="leaf"):
                w.relu_()
            with fw.no_grad():
                w.mul_(2.0)
            assert w.tolist() == [2.0] * 4 and w._version == 1
    data = fw.ones(4).requires_grad_()
    for _ in range(5):
        data.data.mul_(2.0)  # counts apart
    assert data._version == 0 and data.tolist() == [32.0] * 4


def test_what_is_refused_stays_refused():
    fixed = np.ones(4, np.float32)
    fixed.flags.writeable = False
    whole = fw.tensor([1, 2, 3])
    for _ in range(5):
        with pytest.raises(RuntimeError, match="memory"):
            fw.ones(1, 3).expand(4, 3).add_(1.0)
        with pytest.raises(RuntimeError, match="cast"):
            whole.add_(1.5)
        with pytest.raises(RuntimeError, match="broadcast shape"):
            fw.ones(3).add_(fw.ones(2, 3))
        with pytest.raises(RuntimeError, match="dtype"):
            fw.abs(fw.ones(3), out=fw.ones(3, dtype=fw.float64))
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            whole.remainder_(fw.tensor([1, 0, 1]))
    assert whole.tolist() == [1, 2, 3]


DRAWS = [lambda x: x.uniform_(), lambda x: x.uniform_(-2.0, 3.0), lambda x: x.normal_(), lambda x: x.normal_(2, 0.5)]


@pytest.mark.parametrize("draw", DRAWS)
def test_drawn_numbers_are_those_of_the_first_calls(draw):
    x, drawn = fw.zeros(5, 7), []
    for _ in range(5):
        fw.manual_seed(3)
        draw(x)
        drawn.append((x.tolist(), draw(x).tolist()))
    assert _served() and drawn[0][0] != drawn[0][1]
    for pair in drawn:
        np.testing.assert_allclose(pair, drawn[0], rtol=1e-6, atol=1e-6)  # normal ones are within two ulp


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "bfloat16"])
def test_unique_and_equal_of_few_elements(dtype):
    numbers = fw.tensor([3.0, 0.0, -0.0, 1.0, 3.0, 0.0, 1.0]).to(getattr(fw, dtype)).reshape(7, 1)
    values, counts = fw.unique(numbers, return_counts=True)
    assert fw.unique(numbers).tolist() == values.tolist() and fw.unique(numbers).dtype is numbers.dtype
    assert counts.sum() == 7
    assert fw.equal(numbers, numbers.clone()) and not fw.equal(numbers, numbers[1:]) and not fw.equal(numbers, ~(numbers != 0))
    strange = fw.tensor([float("nan"), 1.0, float("nan")])
    assert not fw.equal(strange, strange) and fw.unique(strange).shape == (3,)
