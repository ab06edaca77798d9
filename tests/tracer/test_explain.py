"""The page of `explain`: golden texts of a break, a module, a training step, recompiles and a history; what its parts say."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fusewire as torch
from fusewire import compiler, nn
from fusewire.page import guard_groups
from fusewire.tracer.naming import readable, word

Golden = Callable[[str, str], None]


def page(text: Any) -> str:
    """Without the lines of this file, which move."""
    placed = re.sub(rf"{re.escape(Path(__file__).name)}:\d+", "here.py:1", str(text))
    return re.sub("==+$", "==", placed, flags=re.MULTILINE)


def helper(x: Any, data: bytes) -> Any:
    y = x + 1
    return y * zlib.crc32(data)


def breaks(x: Any) -> Any:
    y = torch.sin(x) * 2
    z = helper(y, b"text")
    return z.sum()


def test_a_break_in_a_callee(golden: Golden) -> None:
    golden("explain_break.txt", page(compiler.explain(breaks)(torch.ones(4, 8))))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.scale = 2.0
        self.register_buffer("shift", torch.ones(4))

    def forward(self, x: Any) -> Any:
        return (self.net(x) * self.scale + self.shift).sum()


def test_a_module_with_gradients(golden: Golden) -> None:
    model = Net()

    def loss(x: Any) -> Any:
        return model(x)

    text = page(compiler.explain(loss, backend="interpret")(torch.ones(5, 3)))
    assert "%model.net.0.weight: f32[4,3]" in text and " is Net.forward" not in text
    golden("explain_module.txt", text)


def test_an_optimiser_that_makes_its_state(golden: Golden) -> None:
    w = torch.ones(3, requires_grad=True)
    optimiser = torch.optim.SGD([w], lr=0.1, momentum=0.9)

    def step(x: Any) -> Any:
        optimiser.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimiser.step()
        return loss.detach()

    again = compiler.explain(step, backend="interpret")
    first = again(torch.ones(3))
    assert len(first.parts) == 1 and not first.recompiles and "the next call compiles once more" in first.notes[0]
    for _ in range(4):
        report = again(torch.ones(3))
    assert not report.notes and 1 <= len(report.recompiles) <= 2 and len(report.parts) == len(report.recompiles) + 1
    golden("explain_step.txt", "\n".join([*map(str, first.notes), *page(report).split("\nrecompiles\n")[1].splitlines()]))


def shaped(x: Any, n: int, flag: bool = True) -> Any:
    return x.reshape(n, -1) if flag else x * n


def test_recompiles_over_several_calls(golden: Golden) -> None:
    again = compiler.explain(shaped, backend="interpret")
    x = torch.ones(8)
    for args in ((torch.ones(4), 2), (x, 2), (x, 4), (x, 4, False), (x.double(), 4)):
        report = again(*args)
    assert report.result.shape == (4, 2) and [m.after for m in report.recompiles][-1] == "f64[8]"
    golden("explain_recompiles.txt", page(report).split("\nrecompiles\n")[1])


def test_of_a_compiled_function_its_history(golden: Golden) -> None:
    made = torch.compile(shaped, backend="interpret")
    made(torch.ones(4), 2), made(torch.ones(4), 2, False)
    explained = compiler.explain(made)
    assert explained.variants == 2 and len(compiler.variants_of(made)) == 2
    report = explained(torch.ones(4), 2)
    assert len(report.parts) == 1 and len(report.history) == 1 and not report.recompiles
    golden("explain_history.txt", page(explained) + "\n\n" + page(report))


def test_refusals_go_by_the_printed_numbers() -> None:
    def f(x: Any, y: Any) -> Any:
        h = torch.relu(x) * 2
        return (h @ y) + 1, torch.softmax(h, -1)

    report = compiler.explain(f)(torch.ones(8, 8), torch.ones(8, 8))
    text = str(report)
    values = {f"%{v.name}": node.op.name for v, node in ((v, n) for n in report.parts[0].graph.nodes for v in n.results)}
    told = text.partition("not fused:")[2].partition("guards:")[0]
    edges = re.findall(r"(?:%\w+ )?\w+(?: \(in \w+\))? -> (?:%\w+ )?\w+", told)
    assert edges
    for edge in edges:
        for end in edge.split(" -> "):
            value, _, op = end.partition(" ")
            assert not value.startswith("%") or values[value] == op, text


def test_names() -> None:
    assert readable("vars(first)['m']._modules['net']._modules['0']._parameters['weight']", ("first",)) == "m.net[0].weight"
    assert readable("vars(zlib)['crc32'] is crc32", ("first",)) == "zlib.crc32 is crc32"
    assert readable("vars(__main__)['m']._buffers['b']") == "m.b"
    assert word("vars(a.b)['m']._modules['net']._modules['0']._parameters['weight']") == "m.net.0.weight"
    assert word("opt.param_groups[0]['lr']") == "opt.param_groups.0.lr" and word("(a + 1)") is None


def test_guards_are_told_without_tautologies() -> None:
    report = compiler.explain(Net(), backend="interpret")(torch.ones(5, 3))
    text = "\n".join(guard_groups(report.guards, ()))
    assert not re.search(r"(\b[\w.]+) is \1\b", text), text
    assert len(text.splitlines()) <= 16, text


def test_a_large_model_stays_a_page() -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU()) for _ in range(20)])
    text = str(compiler.explain(model, backend="interpret")(torch.ones(2, 8)))
    assert len(text.splitlines()) < 150 and max(map(len, text.splitlines())) < 240
    assert text.startswith("Sequential (containers.py:") and "more: fusewire dump FILE:FUNC --stage graph" in text
