"""Tensors as mutable, aliased objects; NumPy calls on them; gradients inside the region."""


from __future__ import annotations

from typing import Any

import numpy as np
from rows import Case, construct, inputs


def fresh(torch: Any) -> list[tuple[Any, ...]]:
    """Three tensors to be written to."""
    return [(torch.arange(6.0).reshape(2, 3) * k,) for k in (1, 2, 3)]


@construct("in-place ops on an input, visible to the caller")
def in_place(torch: Any) -> Any:
    def f(x: Any) -> Any:
        x.add_(1)
        x[0] = 5.0
        x *= 2
        return x.sum()

    return Case(f, fresh(torch))


@construct("in-place through a view, through a slice of a view, and of the base seen in a view")
def through_views(torch: Any) -> Any:
    def f(x: Any) -> Any:
        row = x[1]
        row.mul_(10)
        part = x.t()[0]
        part[0] = -1.0
        x.add_(1)
        return row + 0, part * 2

    return Case(f, fresh(torch))


@construct("the same tensor passed twice, then two")
def aliased_inputs(torch: Any) -> Any:
    def f(a: Any, b: Any) -> Any:
        a.add_(1)
        return a + b

    x, y, z = torch.ones(3), torch.ones(3), torch.ones(3) * 4
    return Case(f, [(x, y), (z, z), (y, x)])


@construct("views of one tensor passed in, overlapping or apart")
def overlapping_inputs(torch: Any) -> Any:
    def f(a: Any, b: Any) -> Any:
        a.mul_(2)
        return b + 1

    base, other = torch.arange(6.0), torch.arange(6.0)
    return Case(f, [(base[:3], base[3:]), (other[:4], other[2:]), (base[1:4], base[0:3])], state=lambda: (base, other))


@construct("outputs that alias an input: itself, transposed, a slice, twice the same")
def outputs_alias(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        return x, x.t(), x[0], y, y, y.view(-1)

    return Case(f, fresh(torch))


@construct(".detach() shares memory")
def detach(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        y = (x * weight).detach()
        z = x.detach()
        z.add_(1)
        return y, z, y.requires_grad

    return f


@construct(".data read and written through")
def data(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        weight.data.mul_(2)
        return x.data + weight.data

    return Case(f, state=lambda: weight)


@construct(".data assigned")
def data_assigned(torch: Any) -> Any:
    weight = torch.ones(4)

    def f(x: Any) -> Any:
        weight.data = x * 2
        return weight + 1

    return Case(f, state=lambda: weight)


@construct("requires_grad_, requires_grad, grad set to None, is_leaf, grad_fn")
def requires_grad(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)
    weight.grad = torch.ones(4)

    def f(x: Any) -> Any:
        weight.grad = None
        y = x * weight
        return y, weight.is_leaf, y.is_leaf, y.requires_grad, y.grad_fn is None

    return Case(f, state=lambda: weight.grad)


@construct("copy_, fill_, zero_, index_put with a mask, += on a slice")
def writes(torch: Any) -> Any:
    buffer = torch.zeros(2, 3)

    def f(x: Any) -> Any:
        buffer.copy_(x)
        buffer[:, 1] += 10
        x[x > 3] = 0.0
        x[0].fill_(7)
        return buffer.sum(0)

    return Case(f, fresh(torch), state=lambda: buffer)


@construct("tensor stored in outer containers and read in the next call")
def kept_state(torch: Any) -> Any:
    state: dict[str, Any] = {"last": torch.zeros(4)}

    def f(x: Any) -> Any:
        y = x + state["last"]
        state["last"] = y
        return y * 2

    return Case(f, state=lambda: state)


@construct("Python attributes on a tensor")
def tensor_attributes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        y.note = "text"
        return y, y.note

    return f


@construct("shape arithmetic, size(), numel, stride, dtype, device, dim, len, iteration")
def metadata(torch: Any) -> Any:
    def f(x: Any) -> Any:
        rows, columns = x.shape
        parts = [row * k for k, row in enumerate(x)]
        return (
            x.view(columns, rows) * x.numel(), x.size(0), x.stride(), x.dtype is torch.float32, len(x), x.dim(), parts,
            x.is_contiguous(), x.t().is_contiguous(), x.device.type, x.shape[-1:] == (columns,), x.element_size(),
        )  # fmt: skip

    return Case(f, fresh(torch))


@construct("indices: slices, steps, None, ..., tensors, lists, tuples")
def indices(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return x[0, ::2], x[..., None], x[[1, 0]], x[torch.tensor([0, 1, 0])], x[(1, 2)], x[:, -1], x[1:][0]

    return Case(f, fresh(torch))


@construct("NumPy functions on tensors: np.sin, np.mean, np.concatenate", torch=False)
def numpy_functions(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return np.sin(x) * 2, np.add(x, 1)

    return f


@construct("tensor from Python values and from NumPy, .numpy()")
def numpy_crossing(torch: Any) -> Any:
    def f(x: Any) -> Any:
        a = torch.tensor([1.0, 2.0, 3.0, 4.0])
        b = torch.from_numpy(np.ones(4, np.float32))
        return x * a + b, (x + 1).numpy().sum()

    return f


@construct("tensor made from Python lists, scalars, like another")
def made_inside(torch: Any) -> Any:
    def f(x: Any) -> Any:
        a = torch.tensor([1.0, 2.0, 3.0, 4.0])
        return x * a, torch.zeros_like(x) + torch.full((4,), 2.0), torch.arange(4), torch.tensor(3), torch.eye(2), x.new_zeros(2)

    return f


@construct("loss.backward() inside")
def backward(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        loss = (x * weight * weight).sum()
        loss.backward()
        return loss.detach()

    return Case(f, state=lambda: weight)


@construct("autograd.grad inside")
def autograd_grad(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        loss = (x * weight * weight).sum()
        (g,) = torch.autograd.grad(loss, [weight])
        return g * 2

    return f


@construct("gradients through the compiled function, twice")
def gradients(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        return (x * weight**3).sum()

    return Case(f, state=lambda: weight.grad)


@construct("user autograd.Function")
def autograd_function(torch: Any) -> Any:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        return Double.apply(x * weight).sum()

    return f


@construct("tensor.register_hook on an intermediate")
def tensor_hook(torch: Any) -> Any:
    weight = torch.ones(4, requires_grad=True)

    def f(x: Any) -> Any:
        y = x * weight
        y.register_hook(lambda g: g * 2)
        return y.sum()

    return f


@construct("float and int arguments that change, None and bool arguments, keyword arguments")
def scalars(torch: Any) -> Any:
    def f(x: Any, k: int, r: float, flag: bool, other: Any) -> Any:
        y = x * k + r if flag else x - k
        return y if other is None else y + other

    rest = [(2, 0.5, True, None), (3, 1.5, True, 1), (4, 2.5, False, None)]
    return Case(f, [(*args, *more) for args, more in zip(inputs(torch), rest, strict=True)])


@construct("arguments: nested containers of tensors, dict order, dataclass, None")
def nested_arguments(torch: Any) -> Any:
    def f(batch: Any) -> Any:
        total = batch["x"] + sum(batch["list"])
        for key, (a, b) in batch["pairs"].items():
            total = total + a * b + len(key)
        return {"total": total, **{k: batch[k] for k in ("list",)}}

    def batch(x: Any) -> Any:
        return {"x": x, "list": [x, x * 2], "pairs": {"one": (x, 1), "three": (x, x)}, "none": None}

    return Case(f, [(batch(x),) for (x,) in inputs(torch)])


@construct("shapes that change between calls")
def shapes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        n = x.shape[0]
        return x * n if n % 2 else x.view(-1, 2).sum(0) + n

    return Case(f, [(torch.arange(float(n)),) for n in (4, 6, 7)])


@construct("dtype that changes between calls, promotion, casts")
def dtypes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return x + 1, x.to(torch.float64) * 0.5, x.float().dtype is torch.float32, (x > 1).int()

    return Case(f, [(torch.tensor([1, 2]),), (torch.tensor([1.5, 2.5]),), (torch.tensor([True, False]),)])
