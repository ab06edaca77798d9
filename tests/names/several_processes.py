"""What the processes of tests/names/test_processes.py run: `spawn` imports it by name."""

from __future__ import annotations

import fusewire as torch
from fusewire import distributed as dist
from fusewire.nn.parallel import DistributedDataParallel


def collectives(rank: int, size: int, port: int, out: torch.Tensor) -> None:
    """Fill row `rank` of the shared tensor `out` with what the collectives gave."""
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    own = torch.arange(3.0) + rank
    total = own.clone()
    dist.all_reduce(total)
    most = own.clone()
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    sent = own.clone()
    dist.broadcast(sent, src=1)
    parts = [torch.zeros(3) for _ in range(size)]
    dist.all_gather(parts, own)
    row = torch.zeros(3)
    dist.scatter(row, parts if rank == 0 else None, src=0)
    turned = torch.zeros(3)
    if rank % 2 == 0:
        dist.send(own, (rank + 1) % size)
        dist.recv(turned, (rank - 1) % size)
    else:
        dist.recv(turned, (rank - 1) % size)
        dist.send(own, (rank + 1) % size)
    objects = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    assert [o["rank"] for o in objects] == list(range(size))
    pair = dist.new_group([0, size - 1])
    few = own.clone()
    dist.all_reduce(few, group=pair)
    dist.barrier()
    out[rank] = torch.cat([total, most, sent, torch.stack(parts).sum(0), row, turned, few])
    dist.destroy_process_group()
    assert not dist.is_initialized()


def training(rank: int, size: int, port: int, out: torch.Tensor) -> None:
    """Three steps of a small model on this rank's part of the data; its weights into row `rank` of `out`."""
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    torch.manual_seed(rank)  # other weights in each process: those of rank 0 count
    model = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(model.weight, 0.1 + rank)
    torch.nn.init.constant_(model.bias, 0.0 + rank)
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    data = torch.arange(8.0).reshape(4, 2)[rank::size]
    for _ in range(3):
        optimizer.zero_grad()
        wrapped(data).square().mean().backward()
        optimizer.step()
    out[rank] = torch.cat([model.weight.detach().flatten(), model.bias.detach()])
    dist.destroy_process_group()


def streams(rank: int, size: int, port: int, out: torch.Tensor) -> None:
    """Many large messages at once from process 0 to process 1, then one that waits for them; 1 if all came in their order."""
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    count, last = 12, torch.zeros(3)
    if rank == 0:
        begun = [dist.isend(torch.full((200_000,), float(i)), 1) for i in range(count)]
        dist.send(last + 7, 1)
        came = True
    else:
        taken = [torch.zeros(200_000) for _ in range(count)]
        begun = [dist.irecv(t, 0) for t in taken]
        dist.recv(last, 0)
        assert all(w.wait() for w in begun)  # a tensor may be read when its call is done
        came = all(bool((t == i).all()) for i, t in enumerate(taken)) and bool((last == 7).all())
    out[rank] = came and all(w.wait() for w in begun)
    dist.destroy_process_group()


def failing(rank: int) -> None:
    """Process 1 raises."""
    if rank == 1:
        raise ValueError("process one gives up")


def adding(x: torch.Tensor, queue: object) -> None:
    """Write to a tensor of another process's, and send one back."""
    x.add_(1)
    queue.put(torch.full((2, 2), 7.0))  # type: ignore[attr-defined]
    queue.get()  # type: ignore[attr-defined]
