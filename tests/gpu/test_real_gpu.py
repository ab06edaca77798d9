"""What only a GPU can show, beside the CPU: the driver's layer, every record (eager, compiled, gradients), views and writes,
training steps, models, streams, memory, graphs, other libraries' tensors. ``pytest -m gpu``; where xdist is, with ``-n 8``.

Without a GPU the records are skipped and a part of the rest runs on the tests' driver, whose kernels the reference runs.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs, nn
from fusewire.bench import gpu_check, gpu_models
from fusewire.ir.op import OPS, lookup

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
sys.path.insert(0, str(Path(__file__).parent))
import fake_cuda
from test_compiled_on_gpu import training
from test_programs_on_gpu import program

REAL = fw.cuda.is_available()
needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(not REAL, reason="there is no GPU")]
lookup("add")


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Machine code on disk, so that no kernel is compiled twice."""
    with knobs.override(disk_cache=REAL, cache_dir=str(tmp_path_factory.getbasetemp().parent / "fusewire-gpu")):
        yield


@pytest.fixture(params=[pytest.param("a GPU", marks=needs_gpu), "the tests' driver"])
def gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some ops run on the host
        if request.param == "a GPU":
            yield
            fw.cuda.synchronize()
            return
        with fake_cuda.installed():
            yield


# -- on a GPU alone


@pytest.mark.parametrize("name", sorted(gpu_check.CHECKS), ids=str)
@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
def test_the_drivers_layer(name: str) -> None:
    assert gpu_check.checked(gpu_check.CHECKS[name]) is None


@pytest.mark.parametrize("way", gpu_check.WAYS)
@pytest.mark.parametrize("name", sorted(OPS) if REAL else ["every record"])
@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
def test_records_as_on_the_cpu(name: str, way: str) -> None:
    assert list(gpu_check.of_record(lookup(name), way)) == []


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune"])
@pytest.mark.parametrize("case", gpu_models.cases(tiny=True), ids=lambda case: case.name)
def test_models_as_on_the_cpu(case: gpu_models.Case, mode: str) -> None:
    """Inference, then the losses of three training steps, of one set of weights. (Sums come in another order on each device, and
    training carries that on: some ulp of the half types' 8 to 11 bits.)"""
    found = [losses(case, device, mode) for device in ("cpu", "cuda")]
    np.testing.assert_allclose(*found, rtol=5e-2 if case.half else 2e-3, atol=5e-2 if case.half else 1e-3)


def losses(case: gpu_models.Case, device: str, mode: str) -> list[float]:
    """An output's mean size, and what training steps lose."""
    fw.manual_seed(0)
    net = gpu_models.network(fw, case, "cpu").to(device)
    x, y = (t.to(device) for t in gpu_models.batch(fw, case, "cpu"))
    loss, optimizer = gpu_models.loss_of(fw, case), fw.optim.AdamW(net.parameters(), lr=1e-3)
    compiled = fw.compile(loss, mode=mode)
    with fw.no_grad():
        found = [net(x).float().abs().mean().item()]
    for _ in range(3):
        optimizer.zero_grad()
        lost = compiled(net, x, y)
        lost.backward()
        optimizer.step()
        found.append(lost.item())
    return found


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
def test_a_whole_program() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(program("cuda"), program("cpu"), rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_training_steps_have_the_cpus_losses(compiled: bool) -> None:
    assert training("cuda", compiled) == pytest.approx(training("cpu", False), rel=1e-3)


# -- on both


def written(x: Any) -> list[Any]:
    """Views, and writes through them."""
    v, w = x[1:, ::2], x.t()
    v += 1.0
    w[2] = 7.0
    x.view(-1)[::5].mul_(2.0)
    x[x > 6.5] = -1.0
    x.index_fill_(0, fw.tensor([0], device=x.device), 0.5)
    y = x.clone().unfold(1, 2, 2)
    y[0].zero_()
    x.copy_(x.flip(0))
    return [x, v, w, y.contiguous(), x.as_strided((3, 2), (1, 4)), x.expand(2, *x.shape).sum(0)]


@pytest.mark.parametrize("compiled", [False, True])
def test_views_and_writes(gpu: None, compiled: bool) -> None:
    run = fw.compile(written) if compiled else written
    given = fw.arange(24.0).view(4, 6)
    wanted, found = written(given.clone()), run(given.to("cuda"))
    for a, b in zip(found, wanted, strict=True):
        assert a.cpu().tolist() == b.tolist()


def test_recorded_launches_give_results_of_their_own(gpu: None) -> None:
    f: Any = fw.compile(lambda x: (x - x.sum(0)).exp(), mode="reduce-overhead", fullgraph=True)
    given = [0.1 * fw.randn(16, 8) for _ in range(5)]
    held = [f(x.to("cuda")) for x in given]
    for x, y in zip(given, held, strict=True):
        fw.testing.assert_close(y.cpu(), (x - x.sum(0)).exp(), rtol=1e-4, atol=1e-4)


def test_streams_and_pinned_memory(gpu: None) -> None:
    host, side = fw.arange(1 << 12).pin_memory(), fw.cuda.Stream()
    with fw.cuda.stream(side):
        x = host.to("cuda", non_blocking=True) * 2
    fw.cuda.current_stream().wait_stream(side)
    x.record_stream(fw.cuda.current_stream())
    assert fw.equal((x + 1).cpu(), host * 2 + 1)


def test_threads_with_streams_of_their_own(gpu: None) -> None:
    found: dict[int, Any] = {}

    def work(n: int) -> None:
        with fw.cuda.stream(fw.cuda.Stream()):
            x = fw.full((100,), float(n), device="cuda")
            for _ in range(10):
                x = x * 2.0 + 1.0
            found[n] = x.cpu()[0].item()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: 1024.0 * n + 1023.0 for n in range(4)}


def test_memory_is_counted_and_given_back(gpu: None) -> None:
    fw.cuda.empty_cache()
    before = fw.cuda.memory_allocated()
    x = fw.empty(1 << 16, device="cuda")
    assert fw.cuda.memory_allocated() >= before + 4 * (1 << 16) and fw.cuda.memory_reserved() >= fw.cuda.memory_allocated()
    del x
    assert fw.cuda.memory_allocated() == before
    with pytest.raises(fw.cuda.OutOfMemoryError, match="GiB"):
        fw.empty(1 << 45, device="cuda")


def test_random_numbers_are_the_cpus(gpu: None) -> None:
    drawn = []
    for device in ("cpu", "cuda"):
        fw.manual_seed(3)
        drop = nn.Dropout(0.5)(fw.ones(64, device=device)).cpu()
        uniform, whole = fw.rand(100, device=device), fw.randint(0, 9, (50,), device=device)
        drawn.append([uniform.cpu().tolist(), whole.cpu().tolist(), drop.tolist()])
    assert drawn[0] == drawn[1]


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="there is no GPU")
@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_other_libraries_share_memory(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    other = importlib.import_module(library)
    x = fw.arange(12, device="cuda").float().view(3, 4)
    theirs = other.from_dlpack(x.t())
    theirs += 1
    fw.cuda.synchronize()
    assert x.cpu().tolist() == (fw.arange(12).float().view(3, 4) + 1).tolist()
    mine = fw.from_dlpack(theirs)
    mine.mul_(2.0)
    fw.cuda.synchronize()
    assert float(theirs[1, 0]) == 4.0 and mine.data_ptr() == x.data_ptr()
    if library == "cupy":
        assert float(other.asarray(x).sum()) == 2.0 * 78.0  # __cuda_array_interface__
