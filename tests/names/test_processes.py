"""Several processes: collectives over TCP, averaged gradients, shared memory, spawn. Each test starts real processes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

import fusewire as torch
import fusewire.multiprocessing as mp
from fusewire import distributed as dist

sys.path.insert(0, str(Path(__file__).parent))
import several_processes as work

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # children only compute and leave


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_collectives_between_three_processes() -> None:
    size = 3
    out = torch.zeros(size, 21).share_memory_()
    mp.spawn(work.collectives, (size, free_port(), out), nprocs=size, start_method="fork")
    base = torch.arange(3.0)
    for rank in range(size):
        total, most, sent, parts, row, turned, few = out[rank].chunk(7)
        assert total.equal(base * 3 + 3) and most.equal(base + 2) and sent.equal(base + 1)
        assert parts.equal(base * 3 + 3) and row.equal(base + rank) and turned.equal(base + (rank - 1) % size)
        assert few.equal(base * 2 + 2 if rank != 1 else base + 1)


def test_messages_that_are_under_way_together_keep_their_order() -> None:
    out = torch.zeros(2).share_memory_()
    mp.spawn(work.streams, (2, free_port(), out), nprocs=2, start_method="fork")
    assert out.tolist() == [1.0, 1.0]


def test_gradients_are_averaged() -> None:
    out = torch.zeros(2, 3).share_memory_()
    mp.spawn(work.training, (2, free_port(), out), nprocs=2, start_method="fork")
    alone = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(alone.weight, 0.1)
    torch.nn.init.constant_(alone.bias, 0.0)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        alone(torch.arange(8.0).reshape(4, 2)).square().mean().backward()
        optimizer.step()
    wanted = torch.cat([alone.weight.detach().flatten(), alone.bias.detach()])
    assert out[0].equal(out[1])
    assert torch.allclose(out[0], wanted, rtol=1e-5)


def test_one_process_is_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match="nccl"):
        dist.init_process_group("nccl")
    dist.init_process_group("gloo")
    try:
        x = torch.ones(2)
        dist.all_reduce(x)
        assert x.equal(torch.ones(2)) and dist.get_world_size() == 1 and dist.get_rank() == 0 and dist.is_initialized()
        with pytest.raises(RuntimeError, match="twice"):
            dist.init_process_group("gloo")
    finally:
        dist.destroy_process_group()
    with pytest.raises(ValueError, match="init_process_group"):
        dist.all_reduce(x)


def test_memory_is_shared_with_a_spawned_process() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    view = x[0]
    context = mp.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work.adding, args=(x[:, 1:], queue))
    process.start()
    got = queue.get(timeout=60)
    queue.put(None)
    process.join()
    assert x.is_shared() and view.tolist() == [0.0, 2.0, 3.0] and got.equal(torch.full((2, 2), 7.0))


def test_spawn_says_which_process_failed() -> None:
    with pytest.raises(mp.ProcessRaisedException, match="process one gives up") as caught:
        mp.spawn(work.failing, nprocs=2, start_method="fork")
    assert caught.value.error_index == 1


def test_a_model_in_shared_memory() -> None:
    model = torch.nn.Linear(2, 2).share_memory()
    assert all(p.is_shared() for p in model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    assert model.weight.grad is not None
