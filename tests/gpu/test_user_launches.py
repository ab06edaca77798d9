"""Users' Triton kernels inside compiled functions: one graph, the values of eager launches, on the fake driver by NumPy."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("the compiler of GPU kernels, triton, is not installed", allow_module_level=True)

import triton
import triton.language as tl

import fusewire as fw
from fusewire.backends.gpu import measuring, stages, user_functions
from fusewire.backends.gpu.kernel import SM90
from fusewire.runtime import fingerprint
from fusewire.tracer import stored

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda
import numpy_triton
import user_kernels as k

Region = Callable[..., Any]


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    """Nothing runs before somebody waits for it."""
    with numpy_triton.installed(lazy=True) as (driver, _):
        yield driver


def blocks(n: Any) -> Any:
    """A grid for `n` elements."""
    return lambda meta: (triton.cdiv(n, meta["BLOCK"]),)


def host(x: Any) -> Any:
    """The tensors in `x` on the CPU."""
    return x.cpu() if isinstance(x, fw.Tensor) else type(x)(map(host, x)) if isinstance(x, (tuple, list)) else x


def added(x: Any, y: Any) -> Any:
    out = fw.empty_like(x)
    k.add[blocks(x.numel())](x, y, out, x.numel(), BLOCK=32)
    return out


def between(x: Any, y: Any) -> Any:
    return added(x * 2, y + 1).relu() - 1


def in_place(x: Any, y: Any) -> Any:
    k.scale[(4,)](x, x.numel(), 0.5, BLOCK=32, num_warps=2)
    return x + y


def in_turn(x: Any, y: Any) -> Any:
    """Two writes to one input; one to another that is read in between."""
    k.scale[(4,)](x, x.numel(), 0.5, BLOCK=32)
    k.add[(4,)](x, y, x, x.numel(), BLOCK=32)
    k.scale[(4,)](y, y.numel(), 0.5, BLOCK=32)
    z = y.sum()
    k.scale[(4,)](y, y.numel(), 4.0, BLOCK=32)
    return z


def part(x: Any, y: Any) -> Any:
    """A slice of an input and one of a value are written, the rest stays."""
    z = x + 0
    k.scale[(1,)](x[1], 5, 3.0, BLOCK=16)
    k.scale[(1,)](z[2:4, 3:], 4, 7.0, BLOCK=16)
    return x * 1, z


def twice(x: Any, y: Any) -> Any:
    """One tensor for all arguments, then overlapping windows."""
    k.add[(1,)](x, x, x, 6, BLOCK=16)
    flat = (x + y).view(-1)
    k.add[(1,)](flat, flat[1:], flat[4:], 3, BLOCK=4)
    return flat


def masked(x: Any, y: Any) -> Any:
    """What the mask keeps out holds what it held."""
    out = fw.full_like(x, 7.0)
    k.add[(1,)](x, y, out, 5, BLOCK=16)
    return out


def rows(x: Any, y: Any) -> Any:
    """Strides of a transposed tensor and of one with gaps."""
    outs = []
    for t in (x.t(), y[:, ::2], (x * 2).t(), x):
        out = fw.empty(t.shape, device=t.device)
        count = triton.next_power_of_2(t.shape[1])
        k.softmax[(t.shape[0],)](out, t, t.stride(0), out.stride(0), t.stride(1), t.shape[1], BLOCK=count)
        outs.append(out)
    return outs


def several(x: Any, y: Any) -> Any:
    """Two results of empty memory, one after the other in one tensor, one given to another kernel."""
    a, b = fw.empty_like(x), fw.empty_like(x)
    k.add[(2,)](x, y, a, 40, BLOCK=32)
    k.add[(2,)](a, y, b, 40, BLOCK=32)
    k.scale[(2,)](b, 40, 2.0, BLOCK=32)
    return a, b


def functions(x: Any, y: Any) -> Any:
    out = fw.empty_like(x)
    k.mapped[(2,)](x, out, 40, k.square if x.ndim == 2 else k.cube, tl.float32, BLOCK=32)
    k.mapped[(2,)](out, out, 40, FUNCTION=k.cube, DTYPE=tl.float32, BLOCK=32)
    return out


def bins(x: Any, y: Any) -> Any:
    found = fw.zeros(8, dtype=fw.int64, device=x.device)
    which = (x.abs() * 3).long().clamp(max=6)
    k.counted[(2,)](which, found, which.numel(), None, BLOCK=32)
    k.counted[(2,)](which, found, which.numel(), fw.ones((), dtype=fw.int64, device=x.device), BLOCK=32)
    return found


def tuned(x: Any, y: Any) -> Any:
    z = x + y
    k.doubled[blocks(z.numel())](z, z.numel())
    k.doubled[blocks(32)](z, n=32)
    return z


def orders(x: Any, y: Any) -> Any:
    """Memory whose order of dimensions is another than that of its sizes: written, and empty memory like it."""
    z = x.t() + y.t()
    k.scale[(2,)](z, 40, 2.0, BLOCK=32)
    out = fw.empty_like(z)
    k.add[(2,)](z, z, out, 40, BLOCK=32)
    return z, out


def mixed(x: Any, y: Any) -> Any:
    """Writes of ours, a launch and writes again into parts of one input, which is given out too."""
    x[0].add_(1)
    k.scale[(1,)](x[0], 8, 3.0, BLOCK=8)
    x[1:3].mul_(2)
    return x.sum(), x.clone(), x.view(-1)[3:7]


def nothing(x: Any, y: Any) -> Any:
    z = x + y
    k.scale[(0,)](z, 40, 2.0, BLOCK=32)
    return z


REGIONS = [added, between, in_place, in_turn, part, twice, masked, rows, several, functions, bins, tuned, orders, mixed, nothing]


@pytest.mark.parametrize("f", REGIONS, ids=lambda f: f.__name__)
def test_as_eager(f: Region, fake: fake_cuda.Fake) -> None:
    """Three calls: compiled, then in machine code."""
    compiled = fw.compile(f, fullgraph=True)
    for _ in range(3):
        x, y = fw.randn(5, 8), fw.randn(5, 8)
        ours, theirs = [x.cuda(), y.cuda()], [x.cuda(), y.cuda()]
        got, wanted = compiled(*ours), f(*theirs)
        fw.testing.assert_close(host((got, ours)), host((wanted, theirs)))


def test_open_sizes(fake: fake_cuda.Fake) -> None:
    """A grid, a size and strides as symbols: two variants for any sizes, each multiple of 16 or not."""

    def f(x: Any, y: Any, rate: float) -> Any:
        out = added(x, y)
        k.scale[blocks(out.numel())](out, out.numel(), rate, BLOCK=16)
        k.softmax[(x.shape[0],)](out, x, x.stride(0), out.stride(0), 1, x.shape[1], BLOCK=64)
        return out

    compiled = fw.compile(f, fullgraph=True)
    for turn, shape in enumerate(((5, 8), (4, 6), (16, 16), (3, 7), (64, 1), (2, 33))):
        x, y = fw.randn(*shape), fw.randn(*shape)
        fw.testing.assert_close(host(compiled(x.cuda(), y.cuda(), turn * 0.5)), host(f(x.cuda(), y.cuda(), turn * 0.5)))
    assert len(compiled.__fusewire_dispatcher__.variants) <= 3


def test_what_is_written_for_other_numbers(fake: fake_cuda.Fake) -> None:
    """A number that is 1 now and open is no constant where what is written is looked for."""

    def f(a: Any, b: Any, n: int) -> None:
        k.one_of[(1,)](a, b, n)

    compiled = fw.compile(f, fullgraph=True, dynamic=True)
    for n in (1, 4, 1, 9):
        a, b = fw.zeros(2).cuda(), fw.zeros(2).cuda()
        compiled(a, b, n)
        assert (a.tolist(), b.tolist()) == (([5.0, 0.0], [0.0, 0.0]) if n == 1 else ([0.0, 0.0], [7.0, 0.0]))


def test_training_steps(fake: fake_cuda.Fake) -> None:
    """A layer norm of Triton's between others, forward, backward and optimiser in one graph."""
    fw.manual_seed(0)
    data = [(fw.randn(6, 12).cuda(), fw.randn(6, 3).cuda()) for _ in range(4)]

    def made() -> tuple[list[Any], Any, Region]:
        fw.manual_seed(1)
        w1, w2 = (fw.randn(*s).mul_(0.3).cuda().requires_grad_() for s in ((12, 20), (20, 3)))
        weight, bias = fw.ones(20).cuda().requires_grad_(), fw.zeros(20).cuda().requires_grad_()
        parameters = [w1, w2, weight, bias]
        optimizer = fw.optim.AdamW(parameters, 0.05)

        def step(x: Any, y: Any) -> Any:
            hidden = k.LayerNorm.apply((x @ w1).relu(), weight, bias, 1e-5)
            loss = ((hidden @ w2 - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return parameters, optimizer, step

    ours, _, step = made()
    theirs, _, other = made()
    compiled = fw.compile(step, fullgraph=True)
    for x, y in data:
        fw.testing.assert_close(compiled(x, y).cpu(), other(x, y).cpu())
    for a, b in zip(ours, theirs, strict=True):
        fw.testing.assert_close(a.detach().cpu(), b.detach().cpu(), rtol=1e-4, atol=1e-5)


def test_gradients_behind_the_region(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x, w, b: k.LayerNorm.apply(x * 2, w, b, 1e-5).sin(), fullgraph=True)
    x, w, b = fw.randn(4, 10), fw.randn(10), fw.randn(10)
    for _ in range(2):
        ours, theirs = ([t.clone().cuda().requires_grad_() for t in (x, w, b)] for _ in range(2))
        out = f(*ours)
        wanted = k.LayerNorm.apply(theirs[0] * 2, theirs[1], theirs[2], 1e-5).sin()
        out.sum().backward()
        wanted.sum().backward()
        fw.testing.assert_close(host([out.detach(), *(t.grad for t in ours)]), host([wanted.detach(), *(t.grad for t in theirs)]))


def test_recorded_launches(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x, y: added(x * 2, y), mode="reduce-overhead", fullgraph=True)
    x, y = fw.randn(40, device="cuda"), fw.randn(40, device="cuda")
    for _ in range(5):
        x.copy_(fw.randn(40))
        fw.testing.assert_close(f(x, y).cpu(), x.cpu() * 2 + y.cpu())
    assert fake.calls["cuGraphLaunch"] == 4


def test_optimisers_and_caches(fake: fake_cuda.Fake) -> None:
    """Parameters and a line of a cache are written where they lie: no copy, any number of positions by one graph."""

    def step(p: Any, x: Any, cache: Any, at: int) -> Any:
        loss = (p * p * x).sum()
        loss.backward()
        k.add[(1,)](p, p.grad, p.data, 40, BLOCK=64)
        k.add[(1,)](x, x, cache[at], 8, BLOCK=8)
        p.grad = None
        return loss.detach()

    compiled, held = fw.compile(step, fullgraph=True), []
    for f in (compiled, step):
        p, x, cache = fw.full((40,), 3.0).cuda().requires_grad_(), fw.arange(40.0).cuda(), fw.zeros(6, 8).cuda()
        losses = [f(p, x, cache, at).item() for at in (2, 5, 0, 3)]
        held.append((losses, host([p.detach(), cache])))
        if f is compiled:
            del fake.launches[:]
            f(p, x, cache, 4)
            assert [name for name, *_ in fake.launches].count("add") == 2
            assert not any("copy" in name or "contiguous" in name for name, *_ in fake.launches)
    fw.testing.assert_close(held[0], held[1])
    assert len(compiled.__fusewire_dispatcher__.variants) <= 3


def test_what_triton_is_told() -> None:
    """Alignment, multiples of 16, ones and the options, as Triton's own launches."""
    with numpy_triton.installed() as (_, users):
        f = fw.compile(lambda x, n, one: k.softmax[(2,)](x, x, n, n, one, 16, BLOCK=16, num_warps=2, num_stages=1))
        f(fw.randn(2, 16, device="cuda"), 16, 1)
        (build,) = users.given
    assert build.signature["x_ptr"] == "*fp32" and build.constants == {"x_column": 1, "BLOCK": 16}
    assert set(build.divisible) == {"out_ptr", "x_ptr", "x_row", "out_row", "columns"}
    assert {"num_warps": 2, "num_stages": 1}.items() <= build.options.items() and build.options["enable_fp_fusion"]


def test_configurations_are_measured_once(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_FLUSH", 1 << 10)

    def f(x: Any) -> Any:
        y = x + 1
        k.tripled[blocks(y.numel())](y, y.numel())
        return y

    k.tripled.cache.clear()
    x, compiled = fw.randn(50), fw.compile(f, fullgraph=True)
    fw.testing.assert_close(compiled(x.cuda()).cpu(), (x + 1) * 3)
    assert len(k.tripled.cache) == 1 and k.tripled.best_config in k.tripled.configs
    before = len(fake.launches)
    fw.testing.assert_close(compiled(x.cuda()).cpu(), (x + 1) * 3)
    assert len(fake.launches) - before == 2


def reasons(f: Region, *args: Any) -> list[str]:
    return [b.what for b in fw.explain(f)(*args).breaks]


def test_what_breaks_the_graph(fake: fake_cuda.Fake) -> None:
    x = fw.ones(64, device="cuda")
    with pytest.raises(fw.errors.GraphBreakError, match="prints, asserts"):
        fw.compile(lambda x: k.told[(1,)](x), fullgraph=True)(x)
    with pytest.raises(fw.errors.GraphBreakError, match="one by one"):
        fw.compile(lambda x: k.scale[(1,)](x, 64, 2.0, BLOCK=64), fullgraph=True, mode="strict")(x)
    with pytest.raises(fw.errors.GraphBreakError, match="which the region made"):  # CPython runs vmap
        fw.compile(fw.vmap(lambda x: k.scale[(1,)](x, 64, 2.0, BLOCK=64)), fullgraph=True)(fw.ones(2, 64, device="cuda"))
    compiled = fw.explain(lambda x: k.scale[(1,)](x, 64, 2.0, BLOCK=64, num_ctas=2))
    assert "with num_ctas=2" in compiled(x).breaks[0].what
    held = fw.ones(64, device="cuda", requires_grad=True)
    assert [b.code for b in fw.explain(lambda x: k.scale[(1,)](x * 2, 64, 2.0, BLOCK=64))(held).breaks] == ["write-gradient"]
    gaps = fw.ones(8, 8, device="cuda")[:, ::2]
    assert "with gaps" in reasons(lambda x: k.scale[(1,)](x, 4, 2.0, BLOCK=64), gaps)[0]


def test_hooks(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, x, met = fw.compile(lambda x: k.scale[(1,)](x, 4, 2.0, BLOCK=4), fullgraph=True), fw.ones(4, device="cuda"), []
    compiled(x)
    compiled(x)
    monkeypatch.setattr(k.scale, "pre_run_hooks", [lambda *args, **kwargs: met.append(1)])
    with pytest.raises(fw.errors.GraphBreakError, match="has hooks"):
        compiled(x)
    assert x.tolist() == [4.0] * 4


def test_globals_and_new_kernels(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant that has changed is Triton's error; another kernel of the name is another capture."""
    kernels = {"one": k.square, "two": k.cube}

    def f(x: Any, which: str) -> Any:
        out = fw.empty_like(x)
        k.mapped[(1,)](x, out, 4, kernels[which], tl.float32, BLOCK=4)
        k.by_factor[(1,)](out, 4, BLOCK=4)
        return out

    compiled, x = fw.compile(f, fullgraph=True), fw.full((4,), 2.0, device="cuda")
    assert compiled(x, "one").tolist() == [12.0] * 4 and compiled(x, "two").tolist() == [24.0] * 4
    kernels["one"] = k.cube
    assert compiled(x, "one").tolist() == [24.0] * 4
    monkeypatch.setattr(k, "FACTOR", tl.constexpr(5))
    with pytest.raises(fw.errors.GraphBreakError, match="global FACTOR has changed"):
        compiled(x, "two")


STORED = """
import fusewire as fw
import triton, triton.language as tl

@triton.jit
def inner(x):
    return x * 2

@triton.autotune(configs=[triton.Config({"BLOCK": 64})], key=[])
@triton.jit
def kernel(x_ptr, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(x_ptr + i, inner(tl.load(x_ptr + i, mask=i < n)), mask=i < n)

def f(x):
    y = x + 1
    kernel[(1,)](y, y.numel())
    return y * 10
"""


def test_captures_on_disk(fake: fake_cuda.Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Served where nothing has changed, without a capture; another kernel, or a function that it calls, is met as such."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def met(text: str) -> tuple[list[str], float]:
        (tmp_path / "stored_kernels.py").write_text(text)
        sys.modules.pop("stored_kernels", None)
        importlib.invalidate_caches()
        linecache.clearcache()
        user_functions._kernels.clear()
        fingerprint.kernels.clear()
        spec = importlib.util.spec_from_file_location("stored_kernels", tmp_path / "stored_kernels.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules["stored_kernels"] = importlib.util.module_from_spec(spec)
        exec(compile(text, str(tmp_path / "stored_kernels.py"), "exec"), module.__dict__)
        before = len(stored.events)
        got = fw.compile(module.f, fullgraph=True)(fw.ones(8, device="cuda"))[-1].item()
        return [e.what for e in list(stored.events)[before:]], got

    with fw.knobs.override(cache_dir=str(tmp_path / "cache"), disk_cache=True):
        assert met(STORED) == (["unknown", "stored"], 40.0)
        assert met(STORED) == (["served"], 40.0)
        assert met(STORED.replace("x * 2", "x * 3")) == (["does not fit", "stored"], 60.0)
        inner = "def made():" + STORED.split("import triton, triton.language as tl")[1].replace("\n", "\n    ") + "return f\n"
        local = "import fusewire as fw\nimport triton, triton.language as tl\n" + inner + "f = made()\n"
        assert met(local) == (["unknown", "stored"], 40.0) and met(local) == (["served"], 40.0)
        assert met(STORED.replace('"BLOCK": 64', '"BLOCK": 4')) == (["does not fit", "does not fit", "stored"], 20.0)


WRITTEN = {
    "swapped": {"a_ptr", "b_ptr"}, "walked": {"a_ptr", "b_ptr", "c_ptr"}, "blocked": {"b_ptr"},
    "calling": {"a_ptr", "b_ptr", "c_ptr"}, "by_address": None,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_kernel_writes(name: str) -> None:
    """Pointers that a loop swaps or moves, blocks, functions that are not inlined (any), addresses from memory (unknown)."""
    kind = "*i64" if name == "by_address" else "*fp32"
    build = stages.Build(
        name, user_functions.enter(getattr(k, name)), {"a_ptr": "*fp32", "b_ptr": "*fp32", "c_ptr": kind, "n": "i32"}, {}, (),
        {"num_warps": 4}, user=True,
    )  # fmt: skip
    assert user_functions.written(build, SM90) == WRITTEN[name]
