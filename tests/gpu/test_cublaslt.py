"""Products by cuBLASLt: the numbers of a strict fake of it beside the CPU's; its interface beside the real header and library."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cublaslt

HALVES = {fw.bfloat16, fw.float16}
TYPES = [fw.float32, fw.bfloat16, fw.float16, fw.float64]


def compare(call: Callable[..., Any], *operands: Any, products: int | None = 1) -> list[Any]:
    """The result of compiled `call` on the fake device equals the CPU's; the library's products, so many a call."""
    with fake_cublaslt.installed() as (_, library):
        given = [x.to("cuda") for x in operands]
        wanted = call(*operands)
        compiled = fw.compile(call, fullgraph=True)
        for _ in range(2):
            got = compiled(*given).cpu()
            half = wanted.dtype in HALVES  # (rounded once behind an epilogue, by single ops after each: some ulp of bfloat16)
            fw.testing.assert_close(got, wanted, **({"rtol": 3e-2, "atol": 3e-2} if half else {"rtol": 1e-4, "atol": 1e-5}))
        if products is not None:
            assert len(library.products) == 2 * products and library.asked <= products
        return library.products


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 17, 5), (17, 1, 65), (1, 65, 129), (65, 129, 3), (16, 32, 64)])
def test_products_of_all_orders(dtype: Any, sizes: tuple[int, int, int]) -> None:
    m, n, k = sizes
    fw.manual_seed(0)
    a, b = fw.randn(m, k, dtype=dtype), fw.randn(k, n, dtype=dtype)
    count = None if 1 in sizes else 1  # thin ones may be sums
    compare(lambda a, b: a @ b, a, b, products=count)
    compare(lambda a, b: a.t() @ b, a.t().contiguous(), b, products=count)
    compare(lambda a, b: a @ b.t(), a, b.t().contiguous(), products=count)
    compare(lambda a, b: a.t() @ b.t(), a.t().contiguous(), b.t().contiguous(), products=count)


@pytest.mark.parametrize("dtype", TYPES)
def test_linear_layers_are_one_call(dtype: Any) -> None:
    fw.manual_seed(1)
    x, w, b = fw.randn(33, 20, dtype=dtype), fw.randn(40, 20, dtype=dtype), fw.randn(40, dtype=dtype)
    f = fw.nn.functional
    assert compare(f.linear, x, w, b)[0][1] == 4
    assert compare(lambda x, w, b: f.linear(x, w, b).relu(), x, w, b)[0][1] == 6
    assert compare(lambda x, w: f.linear(x, w).relu(), x, w)[0][1] == 2
    epilogue = compare(lambda x, w, b: f.gelu(f.linear(x, w, b), approximate="tanh"), x, w, b)[0][1]
    assert epilogue == (36 if dtype in HALVES else 1)  # the library's gelu has the hardware's precision
    assert compare(lambda x, w, b: f.gelu(f.linear(x, w, b)), x, w, b)[0][1] == 1  # not by tanh: a kernel of its own


def test_batches_and_views() -> None:
    fw.manual_seed(2)
    q, k = fw.randn(2, 3, 17, 8), fw.randn(2, 3, 19, 8)
    assert compare(lambda q, k: q @ k.transpose(-1, -2), q, k)[0][0][3] == 6
    flat = fw.randn(2, 17, 3, 8)  # heads inside of rows: two calls of a batch each
    compare(lambda x, k: x.transpose(1, 2) @ k.transpose(-1, -2), flat, k, products=2)
    compare(lambda x, w: x @ w, fw.randn(4, 5, 6), fw.randn(6, 7))  # one product of 20 rows
    compare(lambda x, w: x[:, 1:] @ w[2:9], fw.randn(9, 8), fw.randn(12, 5))
    compare(lambda x, w: x @ w, fw.randn(3, 5, 6), fw.randn(3, 6, 7))
    compare(lambda x, w: x @ w, fw.randn(5, 6), fw.randn(3, 6, 7))
    compare(lambda x, v: x @ v, fw.randn(5, 6), fw.randn(6), products=None)  # a sum


def test_sizes_that_only_a_call_tells() -> None:
    with fake_cublaslt.installed() as (_, library):
        call = fw.compile(lambda x, w, b: fw.nn.functional.linear(x, w, b).relu(), dynamic=True, fullgraph=True)
        w, b = fw.randn(9, 4), fw.randn(9)
        for rows in (3, 5, 8, 3):
            x = fw.randn(rows, 4)
            wanted = fw.nn.functional.linear(x, w, b).relu()
            fw.testing.assert_close(call(x.cuda(), w.cuda(), b.cuda()).cpu(), wanted, rtol=1e-4, atol=1e-5)
        assert library.asked == 3 and len(library.products) == 4


def test_a_training_step_recorded_and_lazy() -> None:
    """Weights' gradients, in a recording that runs again, with work left undone as long as nobody waits."""
    fw.manual_seed(3)
    x, w = fw.randn(12, 8), fw.randn(5, 8)

    def step(x: Any, w: Any) -> Any:
        w = w.detach().requires_grad_()
        (fw.nn.functional.linear(x, w).relu() ** 2).sum().backward()
        return w.grad

    wanted = step(x, w)
    for mode in ("default", "reduce-overhead"):
        with fake_cublaslt.installed(lazy=mode == "default") as (_, library):
            compiled = fw.compile(step, mode=mode, fullgraph=True)
            for _ in range(4):
                fw.testing.assert_close(compiled(x.cuda(), w.cuda()).cpu(), wanted, rtol=1e-4, atol=1e-4)
            assert library.products


def test_knob_tf32() -> None:
    a, b = fw.randn(4, 6), fw.randn(6, 5)
    for allowed, compute in ((False, 68), (True, 77)):
        with knobs.override(tf32=allowed):
            assert compare(lambda a, b: a @ b, a, b)[0][2] == compute
            assert compare(lambda a, b: a @ b, a.to(fw.bfloat16), b.to(fw.bfloat16))[0][2] == 68


def test_knob_cublaslt() -> None:
    from fusewire.runtime.gpu import cublaslt
    from fusewire.runtime.gpu.device import device

    with fake_cublaslt.installed():
        assert cublaslt.of(device()) is not None
        with knobs.override(cublaslt="off"):
            assert cublaslt.of(device()) is None


def test_a_file_that_is_no_such_library_is_told() -> None:
    from fusewire.runtime.gpu import cublaslt
    from fusewire.runtime.gpu.device import device

    find = cublaslt.find_libraries
    with fake_cublaslt.installed():
        cublaslt.find_libraries = find
        with knobs.override(cublaslt="libc.so.6"), pytest.warns(RuntimeWarning, match="cannot be used as cuBLASLt"):
            assert list(find()) and cublaslt.of(device()) is None


@pytest.mark.gpu
@pytest.mark.skipif(not fw.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", TYPES)
def test_the_real_library(dtype: Any) -> None:
    """Beside the CPU: orders, batches, epilogues; a NaN goes through relu and gelu as it does in single ops."""
    from fusewire.runtime.gpu import cublaslt
    from fusewire.runtime.gpu.device import device

    if cublaslt.of(device()) is None:
        pytest.skip("no libcublasLt")
    # halves: sums of 72 products near 30, an ulp of bfloat16 there is 0.125; float32: the library's order of sums is its own
    f, loose = fw.nn.functional, {"rtol": 3e-2, "atol": 3e-1} if dtype in HALVES else {"rtol": 1e-4, "atol": 1e-3}
    x, w, b = fw.randn(130, 72, dtype=dtype), fw.randn(96, 72, dtype=dtype), fw.randn(96, dtype=dtype)
    x[3, 5] = float("nan")
    calls: list[Callable[..., Any]] = [
        f.linear, lambda x, w, b: f.linear(x, w, b).relu(), lambda x, w, b: f.gelu(f.linear(x, w, b), approximate="tanh"),
        lambda x, w, b: x.t().contiguous().t() @ w.t(), lambda x, w, b: x.view(2, 65, 72) @ w.view(2, 72, 48),
        lambda x, w, b: x.view(65, 2, 72).transpose(0, 1) @ w.view(2, 72, 48), lambda x, w, b: x[:, 1:].contiguous() @ w.t()[1:],
    ]  # fmt: skip
    for call in calls:
        got = fw.compile(call, fullgraph=True)(x.cuda(), w.cuda(), b.cuda()).cpu()
        fw.testing.assert_close(got, call(x, w, b), equal_nan=True, **loose)
