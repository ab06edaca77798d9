"""Kinds of graph breaks: values, memory and gradients of tensors (see `kinds`)."""

from __future__ import annotations

from .kinds import Kind

KINDS = (
    Kind(
        "tensor-branch",
        "`if`, `while`, `and`, `or`, `not` or `assert` asks whether a tensor is true, so the graph that computes it must run "
        "first",
        "choose between values with torch.where, or decide on Python numbers (sizes, flags) that are known before the call",
        example="""
def f(x):
    if x.sum() > 0:  #! x.sum() > 0
        return x * 2
    return x * 3
""",
        instead="""
def f(x):
    return torch.where(x.sum() > 0, x * 2, x * 3)
""",
    ),
    Kind(
        "tensor-value",
        "Python needs the value of a tensor to go on, so the graph that computes it must run first",
        "keep the value in a 0-d tensor, which takes part in arithmetic, indexing and torch.where like any other, or read it "
        "behind the compiled function",
        example="""
def f(x):
    return [x * i for i in range(int(x.sum()))]  #! range(int(x.sum()))
""",
        instead="""
def f(x):
    return x * 2
""",
    ),
    Kind(
        "data-size",
        "Python needs the number of elements that the data decide (of a mask or nonzero), so the graph must run first",
        "keep to tensor operations on the selected elements, or mask them with torch.where and keep their number fixed",
        example="""
def f(x):
    chosen = x[x > 0]
    return sum(range(chosen.shape[0]))  #! range(chosen.shape[0])
""",
        instead="""
def f(x):
    n = (x > 0).sum()
    return n * (n - 1) // 2
""",
    ),
    Kind(
        "new-leaf",
        "a tensor that is to collect a gradient of its own (requires_grad) is made inside of the compiled function",
        "make the tensor outside and pass it in, or compute without requires_grad and take the gradient outside",
        example="""
def f(x):
    w = torch.ones(2, requires_grad=True)  #! torch.ones || torch.ones(2, requires_grad=True)
    return w * x
""",
        instead="""
def f(x, w):
    return w * x
""",
        instead_call="torch.ones(2), torch.ones(2, requires_grad=True)",
    ),
    Kind(
        "tensor-state",
        "this method or attribute of a tensor reads or changes what lies outside of the graph: memory, history, hooks",
        "use it outside of the compiled function",
        example="""
def f(x):
    y = x * 2
    return y.data_ptr() > 0  #! y.data_ptr()
""",
    ),
    Kind(
        "gradient-outside",
        "a backward pass inside of the compiled function reaches a tensor whose history was recorded before the call",
        "compute that tensor inside, too, pass it in detached, or call backward() outside of the compiled function",
        example="""
def f(y):
    loss = (y * 2).sum()
    loss.backward()  #! loss.backward()
    return loss.detach()
""",
        call="torch.ones(2, requires_grad=True) * 3",
        instead="""
def f(x):
    loss = (x * 3 * 2).sum()
    loss.backward()
    return loss.detach()
""",
        instead_call="torch.ones(2, requires_grad=True)",
    ),
    Kind(
        "function-backward",
        "the backward of an autograd.Function, which runs after the compiled function has returned, is no pure tensor code",
        "call backward() inside the compiled function as well, or take effects out of the Function's backward",
        example="""
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        print("backward")
        return g * 2

def f(x):
    return Double.apply(x)  #! Double.apply(x)
""",
        call="torch.ones(2, requires_grad=True)",
    ),
    Kind(
        "hook-stays",
        "a hook is put on a tensor whose gradient is taken after the compiled function has returned",
        "take the gradient inside as well, or register the hook on the result outside",
        example="""
def f(x):
    y = x * 2
    y.register_hook(print)  #! y.register_hook(print)
    return y.sum()
""",
        call="torch.ones(2, requires_grad=True)",
    ),
    Kind(
        "tensor-from-python",
        "a tensor is made of Python values in a way that the graph cannot repeat at every call",
        "make it by torch.tensor, torch.full, torch.arange ... without requires_grad, or once, outside, and pass it in",
        example="""
def f(x):
    return x * torch.Tensor([1.0, 2.0])  #! torch.Tensor([1.0, 2.0])
""",
        instead="""
def f(x):
    return x * torch.tensor([1.0, 2.0])
""",
    ),
    Kind(
        "complex-numbers",
        "complex numbers and the pairs of floats that are their memory are both written to, or both given out",
        "make a copy before the write: torch.view_as_complex(x).clone(); values alone need none",
        example="""
def f(x):
    z = torch.view_as_complex(x)  #! torch.view_as_complex(x)
    z.mul_(2)
    return z.abs()
""",
        instead="""
def f(x):
    return (torch.view_as_complex(x) * 2).abs()
""",
    ),
    Kind(
        "tensor-index",
        "a tensor is indexed with an object that has code of its own",
        "index with ints, slices, None, ... and tensors",
        example="""
class At:
    def __index__(self):
        return 1

def f(x, at):
    return x[at]  #! x[at]
""",
        call="torch.ones(2), At()",
        instead="""
def f(x, at):
    return x[at.__index__()]
""",
    ),
    Kind(
        "write-shared",
        "memory that two inputs share is written to through one of them",
        "pass one of the two and make the other of it inside, or give each its own memory (`.clone()`)",
        example="""
BASE = torch.ones(3)

def f(x, y):
    x.add_(1)
    return x * y  #! x || y || x * y
""",
        call="BASE[:2], BASE[1:]",
        instead="""
def f(base):
    x, y = base[:2], base[1:]
    x.add_(1)
    return x * y
""",
        instead_call="torch.ones(3)",
    ),
    Kind(
        "write-gradient",
        "a tensor with a gradient history is written to in place",
        "compute a new tensor (`x = x * 2`), or write under torch.no_grad()",
        example="""
def f(x, y):
    x.mul_(y)  #! x.mul_(y)
    return x + 1
""",
        call="torch.ones(2), torch.ones(2, requires_grad=True)",
        instead="""
def f(x, y):
    return x * y + 1
""",
    ),
    Kind(
        "write-layout",
        "a tensor whose memory is not contiguous is written to in place",
        "pass a contiguous tensor (`x.contiguous()`), or write outside of the compiled function",
        example="""
def f(x):
    x[0] = 1.0  #! x[0]
    return x
""",
        call="torch.ones(4, 4)[:, ::2]",
        instead="""
def f(x):
    x[0] = 1.0
    return x
""",
        instead_call="torch.ones(4, 2)",
    ),
)
