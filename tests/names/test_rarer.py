"""Rarer names, keywords and attributes of tensors, beside PyTorch: one expression a row, in which `t` is either library."""

# ruff: noqa: E501
from __future__ import annotations

import copy
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire

sys.path.insert(0, str(Path(__file__).parent))

X = "t.arange(12.).reshape(3, 4).sin()"
ROWS = [
    "t.fill(x, 2.)", "t.nonzero_static(x > 0, size=3)", "t.nonzero_static(x > 9, size=2, fill_value=7)",
    "t.kl_div(x.log_softmax(1), x.softmax(1), reduction=2)", "t.kl_div(x.log_softmax(1), x.softmax(1))",
    "t.binary_cross_entropy_with_logits(x, x.abs())", "t.margin_ranking_loss(x, x.flip(0), x.sign())",
    "t.cosine_embedding_loss(x, x.flip(0), t.ones(3))", "t.hinge_embedding_loss(x, x.sign())", "t.poisson_nll_loss(x, x.abs(), True, False, 1e-8, 1)",
    "t.triplet_margin_loss(x, x.flip(0), x.flip(1))", "t.embedding(x, t.tensor([1, 2]))", "t.rms_norm(x, (4,))", "t.conv_tbc(t.ones(5, 2, 3), t.ones(2, 3, 4), t.zeros(4))",
    "t.batch_norm(x, None, None, None, None, True, .1, 1e-5, True)", "t.instance_norm(x[None], None, None, None, None, True, .1, 1e-5, True)",
    "t.adaptive_max_pool1d(x, 2)", "t.constant_pad_nd(x, (1, 2), 3.)", "t.frobenius_norm(x, dim=1)",
    "t.nuclear_norm(x)", "t.norm_except_dim(x, 2, 0)", "t.native_channel_shuffle(x.reshape(1, 6, 2), 3)", "t.view_copy(x, (4, 3))", "t.permute_copy(x, (1, 0))",
    "t.expand_copy(x[:1], (3, 4))", "t.split_copy(x, 2)", "t.unbind_copy(x)", "t.diagonal_copy(x)", "t.narrow_copy(x, 0, 1, 1)", "t.as_strided_copy(x, (2,), (3,))",
    "t.as_strided_scatter(x, t.zeros(2), (2,), (3,))", "t.is_signed(x)", "t.is_conj(x)", "t.resolve_conj(x)", "t.resolve_neg(x)", "t.put(x, t.tensor([1]), t.tensor([9.]))",
    "t.unsafe_chunk(x, 2)", "x.clone().swapaxes_(0, 1)", "x.clone().swapdims_(0, 1).stride()", "x.clone().as_strided_((2, 2), (1, 2))", "x.nonzero_static(size=2)",
    "x.clone().map2_(x, x, lambda a, b, c: a + b * c)", "t.sym_max(2, 3)", "t.sym_not(True)", "t.signal.windows.hann(7)", "t.signal.windows.hamming(6, sym=False)",
    "t.signal.windows.blackman(7)", "t.signal.windows.bartlett(5)", "t.signal.windows.cosine(6)", "t.signal.windows.exponential(6)", "t.signal.windows.gaussian(7, std=1.5)",
    "t.signal.windows.kaiser(8, beta=6.)", "t.signal.windows.nuttall(9)", "t.signal.windows.general_cosine(5, a=[.4, .3])", "t.pinverse(x[:, :2])", "t.det(input=x[:3, :3])",
    "t.inverse(input=x[:3, :3] + t.eye(3))", "t.matrix_power(input=x[:3, :3], n=2)", "t.slogdet(input=x[:3, :3] + t.eye(3))", "t.zeros(size=(2, 1))", "t.ones(size=(2,))", "t.empty(size=(2, 3)).shape",
    "t.rand(size=(2,)).shape", "t.randn(size=(2, 2)).shape", "t.empty((2, 3, 4, 4), memory_format=t.channels_last).stride()", "x.view(size=(4, 3))", "x.view(t.int32)", "x.view(dtype=t.float64)",
    "x.to(t.uint8).view(t.int8)", "x.permute(dims=(1, 0))", "x.reshape(shape=(4, 3))", "x.expand(size=(3, 4))", "x.repeat(repeats=(2, 1))", "x.float(memory_format=t.preserve_format)",
    "t.ones(2, 3, 4, 5).double(memory_format=t.channels_last).stride()", "x.cpu(memory_format=t.preserve_format)", "t.functional.norm(x)",
    "t.randn_like(x[None], memory_format=t.preserve_format).shape", "t.rand_like(x, requires_grad=True).requires_grad", "x.__matmul__(x.T)",
    "t.backends.mkldnn.is_available() in (True, False)", "t.backends.openmp.is_available() in (True, False)", "x.is_shared()", "x.to_dense()", "x.dense_dim()",
]  # fmt: skip
ERRORS = [
    "t.fmax(x, 2)", "t.sum([1, 2])", "t.mean(3)", "t.cat(3)", "t.cat([x, 3])", "t.stack([])", "t.stack([x, 3])", "t.hstack([])", "t.vstack([])", "t.mm(x, 3)", "t.matmul(x, 3)",
    "x @ 3", "t.hsplit(x, 0)", "t.eye(-1)", "t.ones(-1)", "t.arange(float('inf'))", "t.ones(()).narrow(0, 0, 1)", "t.isclose(x, x, rtol=-1.)", "t.argmax([1, 2])", "t.heaviside(x, 1)",
    "t.unique([1])", "x.indices()", "t.classes.a.b", "x.view(t.float64)[..., :1].T.view(t.float32)", "t.testing.assert_close(1, 1., rtol=1)",
    "t.signal.windows.gaussian(3, std=-1.)", "t.set_default_dtype(t.int32)",
]  # fmt: skip


def value(lib: Any, text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(text, {"t": lib, "x": eval(X, {"t": lib})})


def plain(x: Any) -> Any:
    if hasattr(x, "detach"):
        return str(x.dtype), tuple(x.shape), x.detach().double().flatten().tolist()
    return [plain(y) for y in x] if isinstance(x, (tuple, list)) else x


def near(a: Any, b: Any) -> bool:
    if isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(near(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (isinstance(b, float) and ((a != a and b != b) or a == pytest.approx(b, rel=1e-4, abs=1e-6)))


@pytest.mark.parametrize("text", ROWS)
def test_value(text: str) -> None:
    torch = pytest.importorskip("torch")
    assert near(plain(value(fusewire, text)), plain(value(torch, text))), text


@pytest.mark.parametrize("text", ERRORS)
def test_error(text: str) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs:
        value(torch, text)
    with pytest.raises(type(theirs.value)):
        value(fusewire, text)


def test_attributes_of_tensors() -> None:
    x = fusewire.nn.Parameter(fusewire.ones(2))
    x.decay = False
    x.data.tag = 1
    assert copy.deepcopy(x).decay is False and pickle.loads(pickle.dumps(x)).decay is False and not hasattr(x, "tag")

    def read(x: Any) -> Any:
        return x * 2, getattr(x, "decay", None)

    compiled = fusewire.compile(read)
    assert compiled(x)[1] is False and compiled(fusewire.nn.Parameter(fusewire.ones(2)))[1] is None


def test_the_default_dtype() -> None:
    half = fusewire.compile(lambda i: i * 0.5 + fusewire.ones(3))
    i = fusewire.arange(3)
    assert half(i).dtype is fusewire.float32
    try:
        fusewire.set_default_dtype(fusewire.float64)
        assert {half(i).dtype, (i / 2).dtype, fusewire.rand(1).dtype, fusewire.nn.Linear(1, 1).weight.dtype} == {fusewire.float64}
        assert str(fusewire.ones(1)) == "tensor([1.])" and fusewire.tensor(1j).dtype is fusewire.complex128
    finally:
        fusewire.set_default_dtype(fusewire.float32)
    assert half(i).dtype is fusewire.float32 and (i / 2).dtype is fusewire.float32


def test_the_profiler_times_ops() -> None:
    with fusewire.profiler.profile() as p, fusewire.profiler.record_function("step"):
        x = fusewire.ones(4, 4, requires_grad=True)
        (x @ x).relu().sum().backward()
        x.detach()[x.detach() > 0].mul_(2)
    seen = {row.key for row in p.key_averages()}
    assert {"step", "aten::matmul", "aten::relu", "aten::sum"} <= seen and "aten::relu" in p.key_averages().table(sort_by="cpu_time_total")


def test_files_are_fetched_with_their_checksum(tmp_path: Path) -> None:
    source = tmp_path / "weights-0123abcd.pt"
    fusewire.save({"w": fusewire.ones(2)}, source)
    with pytest.raises(RuntimeError, match="invalid hash"):
        fusewire.hub.load_state_dict_from_url(source.as_uri(), str(tmp_path / "a"), check_hash=True)
    assert not list((tmp_path / "a").glob("*"))
    assert fusewire.hub.load_state_dict_from_url(source.as_uri(), str(tmp_path / "b"))["w"].tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="not run"):
        fusewire.hub.load("someone/code", "model")


def test_sparse_softmax_counts_what_is_kept() -> None:
    indices, values = fusewire.tensor([[0, 0, 1], [0, 2, 1]]), fusewire.tensor([1.0, 2.0, 3.0])
    x = fusewire.sparse_coo_tensor(indices, values, (2, 3))
    share = 1 / (1 + np.exp(1.0))
    for dtype in (None, fusewire.float64):
        found = fusewire.sparse.softmax(x, 1, dtype=dtype).to_dense()
        assert found.dtype is (dtype or fusewire.float32)
        np.testing.assert_allclose(found.numpy(), [[share, 0, 1 - share], [0, 1, 0]], rtol=1e-6)
        logs = fusewire.sparse.log_softmax(x, 1, dtype=dtype).coalesce()
        np.testing.assert_allclose(logs.values().numpy(), np.log([share, 1 - share, 1]), rtol=1e-6, atol=1e-7)


def test_sparse_diagonals() -> None:
    rows, at = fusewire.arange(1.0, 7.0).reshape(2, 3), fusewire.tensor([0, 1])
    made = fusewire.sparse.spdiags(rows, at, (3, 3))
    assert made.to_dense().tolist() == [[1, 5, 0], [0, 2, 6], [0, 0, 3]]
    with pytest.raises(RuntimeError, match="coordinate"):
        fusewire.sparse.spdiags(rows, at, (3, 3), layout=fusewire.sparse_csr)


@pytest.mark.filterwarnings("ignore")  # PyTorch says that sparse tensors are in beta
def test_sparse_gradients() -> None:
    torch = pytest.importorskip("torch")

    def run(t: Any) -> Any:
        values, x = t.tensor([3.0, 4.0, 5.0, 1.0], requires_grad=True), t.arange(12.0).reshape(4, 3).requires_grad_()
        s = t.sparse_coo_tensor(t.tensor([[0, 1, 1, 0], [2, 0, 2, 2]]), values, (2, 4))
        (t.sparse.mm(s, x).square().sum() + (s.to_dense() ** 3).sum()).backward()
        return plain([values.grad, x.grad, s.coalesce().indices(), t.sparse.sum(s, 0).to_dense(), (s + s).to_dense(), (s * 2.0).to_dense()])

    assert near(run(fusewire), run(torch))


def test_sparse_tensors_in_compiled_functions_are_read_at_every_call() -> None:
    def f(x: Any) -> Any:
        s = x.relu().to_sparse()
        return (s + s).coalesce().values(), s._nnz(), s @ x, s.indices()

    def g(s: Any, x: Any) -> Any:
        return s @ x, s._nnz(), s.values() * 2

    whole = {h: fusewire.compile(h) for h in (f, g)}
    for n, fill in ((3, 1.0), (5, -1.0), (4, 2.0)):
        x = fusewire.eye(n) * 3 - 1 + fill
        for h, args in ((f, (x,)), (g, (x.to_sparse(), x))):
            for a, b in zip(whole[h](*args), h(*args), strict=True):
                assert a == b if isinstance(a, int) else fusewire.equal(a, b)


def test_the_size_of_a_storage_in_compiled_functions() -> None:
    sizes = fusewire.compile(lambda x: (x * 2).sum() * 0 + x.untyped_storage().nbytes())
    assert [sizes(fusewire.ones(n, 2)).item() for n in (3, 5, 6, 3)] == [24.0, 40.0, 48.0, 24.0]


def test_what_a_nested_tensor_does_member_by_member() -> None:
    parts = [fusewire.arange(6.0).view(2, 3), fusewire.arange(12.0).view(4, 3)]
    nested = fusewire.nested.nested_tensor(parts)
    for made in (fusewire.softmax(nested, 2), fusewire.softmax(nested, -1)):
        for got, part in zip(made.unbind(), parts, strict=True):
            np.testing.assert_array_equal(got.numpy(), fusewire.softmax(part, 1).numpy())
    with pytest.raises(RuntimeError, match="softmax of a nested tensor: dimension 0 is that of the members"):
        fusewire.softmax(nested, 0)
    with pytest.raises(NotImplementedError, match="cumsum of a nested tensor is not built"):
        fusewire.cumsum(nested, 1)
