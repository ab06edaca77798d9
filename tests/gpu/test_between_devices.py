"""What goes from one device to another, what must not, and what is said then: PyTorch's rules, on a driver without a GPU."""

# ruff: noqa: E501
from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

pytestmark = pytest.mark.filterwarnings("ignore:.* runs on the host")


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(count=2, lazy=True) as driver:
        yield driver


def on_gpu() -> Any:
    return fw.arange(6.0).reshape(2, 3).cuda()


def saved(device: str) -> io.BytesIO:
    file = io.BytesIO()
    fw.save({"x": fw.arange(3.0, device=device), "p": nn.Parameter(fw.ones(2, device=device))}, file)
    return io.BytesIO(file.getvalue())


#: map_location, saved on, loaded to
PLACES: list[tuple[Any, str, str]] = [
    (None, "cuda:1", "cuda:1"), ("cpu", "cuda:0", "cpu"), ("cuda:1", "cuda:0", "cuda:1"), ("cuda", "cpu", "cuda:0"),
    ({"cuda:0": "cuda:1"}, "cuda:0", "cuda:1"), ({"cuda:0": "cpu"}, "cuda:1", "cuda:1"), (lambda s, _: s, "cuda:0", "cpu"),
    (lambda s, _: s.cuda(1), "cuda:0", "cuda:1"), (lambda s, _: None, "cuda:0", "cuda:0"), (fw.device("cuda", 1), "cpu", "cuda:1"),
]  # fmt: skip


def test_files() -> None:
    for where, home, wanted in PLACES:
        found = fw.load(saved(home), map_location=where)
        assert [str(t.device) for t in found.values()] == [wanted] * 2 and found["x"].tolist() == [0.0, 1.0, 2.0]
        assert isinstance(found["p"], nn.Parameter)
    one, both = saved("cuda:0"), saved("cuda:1")
    with fake_cuda.installed(count=1), pytest.raises(RuntimeError, match=r"on CUDA device 1 but torch.cuda.device_count\(\) is 1"):
        fw.load(both)
    with fake_cuda.installed(count=0):
        with pytest.raises(RuntimeError, match=r"is_available\(\) is False. If you are running on a CPU-only machine"):
            fw.load(one)
        assert fw.load(one, map_location="cpu")["x"].device.type == "cpu"


#: calls of `x`, float32 (2, 3) on cuda:0, and the device of what they give
MOVES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x.to(1), "cuda:1"), (lambda x: x.to("cpu"), "cpu"), (lambda x: x.to(fw.ones(1, dtype=fw.float64)), "cpu"),
    (lambda x: x.type("torch.cuda.DoubleTensor"), "cuda:0"), (lambda x: x.type("torch.FloatTensor"), "cpu"),
    (lambda x: fw.ones(2).type("torch.cuda.FloatTensor"), "cuda:0"), (lambda x: x.type(fw.cuda.HalfTensor), "cuda:0"),
    (lambda x: x.double(), "cuda:0"), (lambda x: x.cuda(1), "cuda:1"), (lambda x: fw.ones(2).copy_(x[0, :2]), "cpu"),
    (lambda x: x.clone().copy_(fw.ones(3)), "cuda:0"), (lambda x: x.clone().copy_(x.cuda(1), non_blocking=True), "cuda:0"),
    (lambda x: x + fw.tensor(2.0), "cuda:0"), (lambda x: fw.tensor(2.0) * x, "cuda:0"), (lambda x: fw.where(x > 1, x, fw.tensor(0.0)), "cuda:0"),
    (lambda x: x.share_memory_(), "cuda:0"), (lambda x: fw.zeros_like(x, device="cpu"), "cpu"), (lambda x: fw.as_tensor(x), "cuda:0"),
    (lambda x: x.untyped_storage(), "cuda:0"), (lambda x: fw.func.grad(lambda v: (v * v).sum())(x), "cuda:0"),
    (lambda x: fw.func.jacrev(fw.sin)(x[0]), "cuda:0"), (lambda x: fw.func.hessian(lambda v: (v**3).sum())(x[0]), "cuda:0"),
    (lambda x: fw.func.jvp(fw.sin, (x,), (x,))[1], "cuda:0"), (lambda x: fw.autograd.functional.jacobian(fw.sin, x[0]), "cuda:0"),
    (lambda x: fw.autograd.functional.hvp(lambda v: (v**3).sum(), x, x)[1], "cuda:0"), (lambda x: fw.vmap(lambda v: v.sum())(x), "cuda:0"),
    (lambda x: nn.utils.parametrizations.orthogonal(nn.Linear(3, 2).cuda())(x), "cuda:0"),
    (lambda x: nn.utils.rnn.pack_padded_sequence(x.T[None].expand(2, 3, 2), fw.tensor([2, 3]), True, False).data, "cuda:0"),
    (lambda x: nn.utils.rnn.pack_padded_sequence(x.T[None].expand(2, 3, 2), fw.tensor([2, 3]), True, False).batch_sizes, "cpu"),
]  # fmt: skip


def test_moves() -> None:
    x = on_gpu()
    for number, (call, wanted) in enumerate(MOVES):
        assert str(call(x).device) == wanted, f"MOVES[{number}]"
    image = fw.arange(18.0).reshape(1, 2, 3, 3)
    assert image.to("cuda", memory_format=fw.channels_last).stride() == (18, 1, 6, 2)
    assert image.contiguous(memory_format=fw.channels_last).cuda().stride() == (18, 1, 6, 2)


#: calls that are refused, and the text
REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x + fw.ones(2, 3), "two devices, cuda:0 and cpu!"), (lambda x: x + x.cuda(1)[0, 0], "two devices, cuda:0 and cuda:1!"),
    (lambda x: fw.add(x, x, out=fw.empty(2, 3)), "two devices, cuda:0 and cpu!"), (lambda x: x.clone().add_(fw.ones(3)), "two devices"),
    (lambda x: nn.Linear(3, 2)(x), "two devices, cuda:0 and cpu!"), (lambda x: fw.cat([x, fw.ones(2, 3)]), "two devices"),
    (lambda x: fw.equal(x, x.cpu()), "two devices"), (lambda x: fw.ones(3)[fw.tensor([0]).cuda()], "two devices"),
    (lambda x: x.pin_memory(), "only memory of the CPU can be pinned"), (lambda x: fw.ones(1, device="cuda:9"), "there is no device cuda:9"),
    (lambda x: (x.requires_grad_() * 2).sum().backward(fw.tensor(1.0)), "index 0 - expected device cuda:0 but got cpu"),
    (lambda x: setattr(nn.Parameter(x), "grad", fw.ones(2, 3)), "assign a gradient located on cpu to a tensor located on cuda:0"),
    (lambda x: fw.rand(3, generator=fw.Generator(), device="cuda"), "Expected a 'cuda' device type for generator but found 'cpu'"),
    (lambda x: fw.randn(3, generator=fw.Generator("cuda")), "Expected a 'cpu' device type for generator but found 'cuda'"),
    (lambda x: nn.utils.rnn.pack_padded_sequence(x.T[None], fw.tensor([3]).cuda(), True), "1D CPU int64 tensor, but got 1D cuda:0 Long tensor"),
]  # fmt: skip


def test_what_is_refused() -> None:
    for call, text in REFUSED:
        with pytest.raises(RuntimeError, match=text):
            call(on_gpu())


def test_gradients_on_two_devices_are_clipped_as_one() -> None:
    p, q = nn.Parameter(on_gpu()), nn.Parameter(fw.ones(2))
    p.grad, q.grad = fw.full((2, 3), 2.0, device="cuda"), fw.full((2,), 1.0)
    assert nn.utils.clip_grad_norm_([p, q], 1.0).item() == pytest.approx(26**0.5)
    assert p.grad.cpu().tolist()[0][0] == pytest.approx(2 / 26**0.5) and q.grad[0].item() == pytest.approx(1 / 26**0.5)


def test_states_follow_their_parameters() -> None:
    p, q = nn.Parameter(on_gpu()), nn.Parameter(fw.ones(2, 3))
    one, other = fw.optim.Adam([p]), fw.optim.Adam([q])
    p.grad = on_gpu()
    one.step()
    other.load_state_dict(one.state_dict())
    assert {k: v.device.type for k, v in other.state[q].items()} == {"step": "cpu", "exp_avg": "cpu", "exp_avg_sq": "cpu"}
    one.load_state_dict(other.state_dict())
    assert one.state[p]["exp_avg"].is_cuda and one.state[p]["exp_avg"].tolist() == other.state[q]["exp_avg"].tolist()
    layer = nn.Linear(3, 4).cuda()
    layer.load_state_dict(nn.Linear(3, 4).state_dict())
    assert layer.weight.is_cuda and layer.half().weight.dtype is fw.float16
    assert [str(layer.to(d).weight.device) for d in ("cpu", "cuda", 1, fw.float64)] == ["cpu", "cuda:0", "cuda:1", "cuda:1"]


def test_the_default_device() -> None:
    fw.set_default_device("cuda")
    try:
        assert str(fw.get_default_device()) == "cuda:0" and nn.Linear(2, 2).weight.is_cuda and fw.tensor([1]).is_cuda
        assert fw.from_numpy(fw.ones(2, device="cpu").numpy()).device.type == "cpu"
        data = fw.utils.data.TensorDataset(fw.arange(8.0, device="cpu"))
        assert [x.device.type for (x,) in fw.utils.data.DataLoader(data, 4, shuffle=True)] == ["cpu", "cpu"]
    finally:
        fw.set_default_device("cpu")
    with fw.device("cuda:1"):
        assert str(fw.ones(2).device) == "cuda:1"


@pytest.mark.parametrize(
    "make",
    [
        lambda: fw.tensor([1.0, 2.0], device="cuda"), lambda: fw.logspace(0, 1, 3, device="cuda"), lambda: fw.as_tensor([1, 2], device="cuda"),
        lambda: fw.tril_indices(3, 3, device="cuda"), lambda: fw.ones(3, device="cuda"), lambda: fw.full((2, 2), 3.0, device="cuda"),
    ],
)  # fmt: skip
def test_compiled_functions_give_tensors_that_they_make(make: Any) -> None:
    compiled, wanted = fw.compile(make, fullgraph=True), make().tolist()
    for _ in range(3):
        found = compiled()
        assert found.is_cuda and found.tolist() == wanted
        found.add_(1)  # it is the caller's own
