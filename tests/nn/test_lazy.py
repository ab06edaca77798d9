"""Layers whose sizes the first call settles, beside PyTorch's: text, shapes, states, errors; and global hooks of modules."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from typing import Any

import pytest

import fusewire as fw

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with"
)
pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")

ASKED = [
    "nn.LazyLinear(3)", "nn.LazyLinear(3)(t.ones(2, 4)).shape", "after(nn.LazyLinear(3, bias=False), 2, 4)",
    "list(nn.LazyLinear(3).state_dict().values())", "nn.LazyLinear(3).weight", "nn.LazyLinear(3).weight.shape",
    "nn.Linear(4, 3).load_state_dict(nn.LazyLinear(3).state_dict())",
    "(lambda m: (m.load_state_dict(nn.Linear(4, 3).state_dict()), m.weight.shape, m))(nn.LazyLinear(3))",
    "nn.LazyLinear(3).load_state_dict(nn.LazyLinear(3).state_dict())", "copy.deepcopy(nn.LazyLinear(3))",
    "pickle.loads(pickle.dumps(nn.LazyLinear(3)))", "nn.LazyLinear(3).double().weight.dtype", "nn.LazyConv2d(3, 2)",
    "nn.LazyConv2d(3, 2, 1, 1, groups=3)", "nn.LazyConv2d(3, 2)(t.ones(1, 4, 5, 5)).shape",
    "nn.LazyConv2d(3, 2)(t.ones(4, 5, 5)).shape", "nn.LazyConv2d(3, 2)(t.ones(4, 5))",
    "after(nn.LazyConv2d(8, 2, groups=2, padding=1), 1, 4, 5, 5)", "after(nn.LazyConvTranspose2d(8, 2, 2, 0, 1), 1, 4, 5, 5)",
    "after(nn.LazyConv2d(8, 2, groups=2), 1, 3, 5, 5)", "after(nn.LazyConv1d(8, 2), 1, 3, 5)", "nn.LazyBatchNorm2d()",
    "after(nn.LazyBatchNorm2d(momentum=0.3), 2, 4, 5, 5)", "after(nn.LazyInstanceNorm2d(affine=True), 2, 4, 5, 5)",
    "after(nn.LazyBatchNorm2d(affine=False), 2, 4, 5, 5)", "after(nn.LazyBatchNorm1d(track_running_stats=False), 2, 4)",
    "after(nn.Sequential(nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)), 2, 4, 6, 6)",
    "nn.LazyLinear(3).share_memory()", "list(nn.LazyConv1d(3, 2).state_dict())", "isinstance(nn.LazyLinear(3), nn.Linear)",
]  # fmt: skip


def after(lib: Any) -> Any:
    def settled(m: Any, *shape: int) -> Any:
        m(lib.ones(*shape))
        return m, [(k, tuple(v.shape)) for k, v in m.state_dict().items()]

    return settled


def told(lib: Any, text: str) -> str:
    lib.manual_seed(0)
    try:
        return repr(eval(text, {"t": lib, "nn": lib.nn, "copy": copy, "pickle": pickle, "after": after(lib)}))
    except Exception as e:
        return f"{type(e).__name__}: {e}"


@needs_torch
@pytest.mark.parametrize("text", ASKED)
def test_lazy_layers_say_what_pytorch_s_say(text: str) -> None:
    import torch

    assert told(fw, text) == told(torch, text)


def test_a_lazy_net_learns_compiled() -> None:
    fw.manual_seed(0)
    net = fw.nn.Sequential(fw.nn.LazyConv2d(3, 3), fw.nn.ReLU(), fw.nn.Flatten(), fw.nn.LazyLinear(2))
    x = fw.randn(4, 2, 6, 6)
    first = fw.compile(net)(x)
    assert type(net[0]) is fw.nn.Conv2d and fw.equal(first, net(x))
    optimiser = fw.optim.SGD(net.parameters(), 0.1)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = (fw.compile(net, fullgraph=True)(x) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


def hooked(lib: Any) -> list[Any]:
    """What hooks of all modules see of a small net."""
    nn, seen = lib.nn, []
    modules = lib.nn.modules.module
    handles = [
        modules.register_module_forward_pre_hook(lambda m, args: seen.append(["pre", type(m).__name__])),
        modules.register_module_forward_hook(lambda m, args, out: seen.append(["forward", type(m).__name__, list(out.shape)])),
        modules.register_module_full_backward_hook(lambda m, i, o: seen.append(["backward", type(m).__name__, len(i), len(o)])),
        modules.register_module_parameter_registration_hook(lambda m, name, p: seen.append(["parameter", name])),
        modules.register_module_module_registration_hook(lambda m, name, child: seen.append(["module", name])),
        modules.register_module_buffer_registration_hook(lambda m, name, b: seen.append(["buffer", name])),
    ]
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net[0].register_forward_hook(lambda m, args, out: seen.append("own"))
    net(lib.ones(2, 2, requires_grad=True)).sum().backward()
    for handle in handles:
        handle.remove()
    net(lib.ones(2, 2))

    def fails(m: Any, args: Any) -> None:
        raise KeyError("pre")

    net[1].register_forward_hook(lambda m, args, out: seen.append(["always", out]), always_call=True)
    net[1].register_forward_hook(lambda m, args, out: seen.append(["not"]))
    net[1].register_forward_pre_hook(fails)
    try:
        net(lib.ones(2, 2))
    except KeyError as e:
        seen.append(str(e))
    return seen


@needs_torch
def test_hooks_of_all_modules_see_what_pytorch_s_see() -> None:
    import torch

    assert hooked(fw) == hooked(torch)
    assert fw.nn.Module.__call__.__name__ == "__call__"
