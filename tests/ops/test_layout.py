"""The stride rules against PyTorch (elementwise results) and NumPy (views), on random layouts, and with symbolic sizes."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire.errors import ShapeError
from fusewire.ir import dtypes, layout, sizes
from fusewire.ir.types import TensorType, tensor


def random_array(rng: np.random.Generator, shape: list[int]) -> np.ndarray:
    """Dense, strided or expanded, in a random order of dimensions."""
    order = rng.permutation(len(shape)).astype(int)
    step = int(rng.choice([1, 1, 2]))
    base = np.zeros([shape[d] * step for d in order], np.float32)[tuple(slice(None, None, step) for _ in shape)]
    x = base.transpose(np.argsort(order)) if shape else base
    if rng.random() < 0.25:
        keep = tuple(slice(0, 1) if rng.random() < 0.5 else slice(None) for _ in shape)
        x = np.broadcast_to(x[keep], x.shape) if x.size else x
    return x


def random_operands(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    shape = [int(n) for n in rng.choice([0, 1, 1, 2, 3, 4], int(rng.integers(0, 5)), p=[0.05, 0.2, 0.2, 0.2, 0.2, 0.15])]
    operands = []
    for _ in range(count):
        own = [1 if rng.random() < 0.25 else n for n in shape]
        operands.append(random_array(rng, own[int(rng.integers(0, len(own) + 1)) if rng.random() < 0.3 else 0 :]))
    return operands


def type_of(x: np.ndarray, dtype: dtypes.DType = dtypes.float32) -> TensorType:
    return TensorType(x.shape, dtype, layout.strides_of(x))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_elementwise_strides_are_pytorchs(count: int) -> None:
    """Also in dimensions of size 1, and where operands disagree: the first that is not broadcast decides."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(count)
    for _ in range(3000):
        xs = random_operands(rng, count)
        ts = [torch.zeros(5000, dtype=torch.bool if count == 3 and k == 0 else torch.float32) for k in range(count)]
        ts = [torch.as_strided(t, x.shape, layout.strides_of(x)) for t, x in zip(ts, xs, strict=True)]
        out = {1: torch.neg, 2: torch.add, 3: torch.where}[count](*ts)
        types = [type_of(x) for x in xs]
        want = out.stride() if out.numel() else strides(out.shape)
        assert layout.elementwise("op", dtypes.float32, *types).strides == want, types


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tensor(tuple(shape), dtypes.float32).strides  # type: ignore[return-value]


def test_a_copy_and_a_weak_operand_have_pytorchs_strides() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    for _ in range(2000):
        (x,) = random_operands(rng, 1)
        t = torch.as_strided(torch.zeros(5000), x.shape, layout.strides_of(x))
        if x.size:
            assert layout.preserved(dtypes.float32, type_of(x)).strides == t.clone().stride(), x.strides
            assert layout.elementwise("op", dtypes.float32, type_of(x), 2).strides == (t + 2).stride(), x.strides


@pytest.mark.parametrize("name", ["neg", "add", "where", "clone"])
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.bfloat16], ids=str)
def test_what_runs_has_the_strides_that_infer_says(name: str, dtype: dtypes.DType) -> None:
    """Through the interpreter's way of running a record and through Tensors."""
    import fusewire as fw
    from fusewire.ir.op import lookup
    from fusewire.ir.run_op import run_op

    op, rng = lookup(name), np.random.default_rng(8)
    count = {"neg": 1, "add": 2, "where": 3, "clone": 1}[name]
    for _ in range(150):
        xs = [np.lib.stride_tricks.as_strided(np.zeros(5000, dtype.np), x.shape, [s // 4 * dtype.itemsize for s in x.strides])
              for x in random_operands(rng, count)]  # fmt: skip
        if count == 3:
            xs[0] = np.lib.stride_tricks.as_strided(np.zeros(5000, bool), xs[0].shape, layout.strides_of(xs[0]))
        types = [layout.type_of_array(x) for x in xs]
        (want,) = op.infer(*types)
        (made,) = run_op(op, xs, {})
        assert layout.type_of_array(made) == want, types
        assert op(*[fw.from_numpy(x) if x.dtype != dtypes.bfloat16.np else wrap(x) for x in xs]).stride() == want.strides, types


def wrap(x: np.ndarray) -> object:
    from fusewire.eager.factory import make

    return make(x)


def test_empty_like_has_the_strides_of_a_copy() -> None:
    rng = np.random.default_rng(9)
    for _ in range(500):
        (x,) = random_operands(rng, 1)
        want = layout.preserved(dtypes.bfloat16, layout.type_of_array(x))
        assert layout.type_of_array(layout.empty_like(x, dtypes.bfloat16.np)) == want


def test_view_strides_are_those_of_numpys_reshape_without_a_copy() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3000):
        (x,) = random_operands(rng, 1)
        factors = [int(n) for n in x.shape]
        cut = int(rng.integers(0, 3))
        shape = [1] * cut + factors if rng.random() < 0.5 else [*factors[:-2], int(np.prod(factors[-2:])), *[1] * cut]
        if rng.random() < 0.3:
            shape = [2 if n == 4 else n for n in shape] + [2] * sum(n == 4 for n in shape)
        if int(np.prod(shape)) != x.size:
            continue
        try:
            want = layout.strides_of(x.reshape(shape, copy=False))
        except ValueError:
            want = None
        assert layout.view_strides(layout.type_of_array(x), tuple(shape)) == want, (x.shape, x.strides, shape)


def test_symbolic_broadcasting() -> None:
    b, t = sizes.symbol("b"), sizes.symbol("t")
    x, y = tensor((b, 1, t), dtypes.float32), tensor((4, t), dtypes.float32)
    assert layout.elementwise("add", dtypes.float32, x, y) == tensor((b, 4, t), dtypes.float32)
    with pytest.raises(ShapeError, match=r"cannot broadcast f32\[b,1,t\] and f32\[b\]: dimension 2 is t in one and b in another"):
        layout.elementwise("add", dtypes.float32, x, tensor((b,), dtypes.float32))


def test_symbolic_transposed_operand_keeps_its_order() -> None:
    m, n = sizes.symbol("m"), sizes.symbol("n")
    x = TensorType((m, n), dtypes.float32, (1, m))
    assert layout.elementwise("neg", dtypes.float32, x).strides == (1, m)
    assert layout.elementwise("add", dtypes.float32, x, tensor((m, n), dtypes.float32)).strides == (1, m)
    assert layout.elementwise("add", dtypes.float32, tensor((m, n), dtypes.float32), x).strides == (n, 1)


def test_symbolic_views() -> None:
    b, t = sizes.symbol("b", 1), sizes.symbol("t", 1)
    x = tensor((b, t, 8), dtypes.float32)
    assert layout.resolve_shape("view", (-1, 8), x) == (b * t, 8)
    swapped = TensorType((t, b, 8), dtypes.float32, (8, 8 * t, 1))
    assert layout.view_strides(swapped, (t, b, 2, 4)) == (8, 8 * t, 4, 1)
    assert layout.view_strides(swapped, (t, 1, b, 8)) is not None
    assert layout.view_strides(swapped, (b * t, 8)) is None
    with pytest.raises(ShapeError, match="cannot see"):
        layout.resolve_shape("view", (b, 9), x)


def test_regroup_divides_only_inside_groups_that_differ() -> None:
    b = sizes.symbol("b", 1)
    i, j = sizes.symbol("i", 0, b - 1), sizes.symbol("j", 0, 11)
    assert tuple(map(str, layout.regroup((i, j), (b, 12), (b, 3, 4)))) == ("i", "(j // 4)", "(j % 4)")
    assert layout.regroup((i, j), (b, 12), (b, 1, 12)) == (i, 0, j)
