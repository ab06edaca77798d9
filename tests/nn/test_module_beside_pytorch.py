"""What Module does beside PyTorch: errors with their texts, hooks forward, backward and around state, names, extra state."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent))
from module_questions import QUESTIONS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with"
)

ASKED = [
    "m.get_submodule('a.b')", "m.get_submodule('0.x')", "m.get_parameter('q')", "m.get_parameter('0.in_features')",
    "m.get_buffer('0.weight')", "m.register_parameter('a.b', None)", "m[0].register_parameter('in_features', None)",
    "m.register_parameter('', None)", "m.register_parameter('a', 3)", "m[0].register_buffer('weight', None)",
    "m.register_buffer('a.b', None)", "m.register_buffer('w', 3)", "m[0].add_module('weight', nn.ReLU())",
    "m.add_module('a.b', nn.ReLU())", "m.add_module('c', 3)", "m.train(3)", "m.set_submodule('a.b', nn.ReLU())", "m.nope",
    "setattr(m[0], 'weight', 3)", "nn.Module()(3)", "m.load_state_dict([])",
    "m.load_state_dict({'0.weight': lib.ones(1, 2), 'odd': 1})",
    "m.load_state_dict({'0.weight': 5}, strict=False)", "m.load_state_dict({'0.weight': lib.ones(3, 2)}, strict=False)",
    "[n for n, _ in m.named_parameters('p')]", "[n for n, _ in m.named_parameters(remove_duplicate=False)]",
    "[n for n, _ in m.named_modules(prefix='z')]", "[n for n, _ in m.named_buffers()]", "[n for n, _ in m.named_children()]",
    "m.set_submodule('1', nn.Tanh()) or m", "m.requires_grad_(False)[0].weight.requires_grad",
    "m.half()[0].weight.element_size()",
    "nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()])", "nn.ModuleList([m, m])", "nn.ModuleList()",
    "nn.Sequential()", "nn.ModuleDict({'a': nn.ReLU()})", "nn.ParameterList([nn.Parameter(lib.ones(2)), lib.ones(1, 2)])",
    "nn.ParameterDict({'a': nn.Parameter(lib.ones(2))})", "list(nn.ParameterList([lib.ones(2)]).state_dict())",
    "list(nn.ParameterDict({'x': lib.ones(2), 'y': 3}).state_dict())", "nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh())",
    "nn.Sequential(nn.ReLU(), nn.Tanh()).insert(1, nn.GELU())", "nn.Sequential(nn.ReLU(), nn.Tanh()).pop(0)",
    "nn.Sequential(nn.ReLU()).extend([nn.Tanh()])", "nn.ModuleList([nn.ReLU()]) + nn.ModuleList([nn.Tanh()])",
]  # fmt: skip


def model(lib: Any) -> Any:
    nn = lib.nn
    m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3))
    m.tied = m[0]
    return m


def told(lib: Any, text: str) -> str:
    lib.manual_seed(0)
    try:
        scope = {"m": model(lib), "nn": lib.nn, "lib": lib, "copy": copy, "pickle": pickle}
        return repr(eval(text, scope)).replace("torch.FloatTensor", "Tensor")
    except Exception as e:
        return f"{type(e).__name__}: {e}"


@pytest.mark.filterwarnings("ignore:Initializing zero-element", "ignore:dropout option", "ignore:enable_nested_tensor")
@pytest.mark.parametrize("text", ASKED + QUESTIONS)
def test_module_says_what_pytorch_s_says(text: str) -> None:
    import torch

    assert told(fw, text).replace("fusewire", "torch") == told(torch, text)


def events(lib: Any) -> list[Any]:
    """What hooks see in a forward and a backward pass, and around saving and loading."""
    seen: list[Any] = []
    lib.manual_seed(0)
    m = lib.nn.Linear(2, 2)
    with lib.no_grad():
        m.weight.copy_(lib.tensor([[1.0, 2.0], [3.0, 4.0]]))
        m.bias.zero_()
    m.register_forward_pre_hook(lambda mod, args, kwargs: seen.append(sorted(kwargs)), with_kwargs=True)
    m.register_forward_hook(lambda mod, args, kwargs, out: seen.append(out.tolist()), with_kwargs=True)
    m.register_full_backward_pre_hook(lambda mod, grads: seen.append([g.tolist() for g in grads]))
    m.register_full_backward_hook(lambda mod, inner, outer: seen.append([inner[0].tolist(), outer[0].tolist()]))
    m.register_full_backward_hook(lambda mod, inner, outer: (inner[0] * 2,))
    x = lib.ones(1, 2, requires_grad=True)
    m(x * 1).sum().backward()
    seen += [x.grad.tolist(), m.weight.grad.tolist()]
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: seen.append([prefix, keep]))
    m.register_state_dict_post_hook(lambda mod, state, prefix, meta: state.update({f"{prefix}more": 1}))
    m.register_load_state_dict_pre_hook(lambda mod, state, prefix, *rest: seen.append(state.pop(f"{prefix}more")))
    m.register_load_state_dict_post_hook(lambda mod, keys: seen.append(list(keys.missing_keys)))
    outer = lib.nn.Sequential(m)
    state = outer.state_dict()
    seen.append(sorted(state))
    seen.append(str(outer.load_state_dict(state, strict=False)))
    return seen


def test_hooks_see_what_pytorch_s_see() -> None:
    import torch

    assert events(fw) == events(torch)


def test_extra_state() -> None:
    import torch

    found = []
    for lib in (fw, torch):

        class Counting(lib.nn.Module):  # type: ignore[name-defined, misc]
            def get_extra_state(self) -> Any:
                return {"count": self.count}

            def set_extra_state(self, state: Any) -> None:
                self.count = state["count"] + 1

        m = Counting()
        m.count = 3
        outer = lib.nn.Sequential(m)
        state = outer.state_dict()
        outer.load_state_dict(state)
        found.append((dict(state), m.count, str(outer.load_state_dict({}, strict=False))))
    assert found[0] == found[1]
