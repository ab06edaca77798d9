"""Effects that fail, late values and whole training steps that once differed: each compiled against plain eager."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import fusewire as torch
from fusewire import knobs, nn
from fusewire.nn import functional as F


def step_over_sizes(loss: Any) -> list[Any]:
    def run(decorate: Any) -> list[Any]:
        torch.manual_seed(0)
        w = torch.randn(4, requires_grad=True)
        mean, var = torch.zeros(4), torch.ones(4)
        breaks = []

        @decorate
        def step(x: Any) -> Any:
            total = loss(x * w, mean, var)
            total.backward()
            return total

        for n in (6, 6, 5, 7, 6):
            made = step(torch.arange(n * 4).float().view(n, 4) / 7)
            breaks.append((made.detach(), w.grad.clone()))
        return breaks

    plain, compiled = run(lambda f: f), run(lambda f: torch.compile(f, fullgraph=True))
    for a, b in zip(plain, compiled, strict=True):
        for x, y in zip(a, b, strict=True):
            assert torch.allclose(x, y, rtol=1e-4, atol=1e-5)
    return compiled


@pytest.mark.parametrize(
    "loss",
    [
        lambda y, m, v: y.mean(),
        lambda y, m, v: F.batch_norm(y, m, v, None, None, True).pow(2).mean(),
        lambda y, m, v: y.var(0).sum() + y.std(),
        lambda y, m, v: (y.mean(0) * y.shape[0]).sum(),
    ],
)
def test_a_step_whose_gradients_divide_by_an_open_size_is_one_graph(loss: Any) -> None:
    step_over_sizes(loss)


def test_a_pass_that_the_tracer_fails_in_breaks_before_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a pass left histories behind that the rest of the program could not differentiate."""
    from fusewire.tracer import backward

    fitted, calls = backward.Pass.fitted, []

    def fails(self: Any, g: Any, wanted: Any) -> Any:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KeyError("planted")
        return fitted(self, g, wanted)

    monkeypatch.setattr(backward.Pass, "fitted", fails)
    w = torch.ones(3, requires_grad=True)

    @torch.compile
    def step(x: Any) -> Any:
        loss = ((w * x).exp() * x).sum()
        loss.backward()
        return loss

    with knobs.override(verify=False):
        step(torch.ones(3))
    assert calls and torch.allclose(w.grad, torch.full((3,), 2.7182817))


class Many:
    """An object whose text has several lines, and says when it is made."""

    shown = 0

    def __repr__(self) -> str:
        Many.shown += 1
        return "one\ntwo]"


def test_objects_as_keys_are_named_without_their_own_code() -> None:
    key, shown = Many(), Many.shown

    @torch.compile
    def f(x: Any, d: dict[Any, Any], o: Any) -> Any:
        d[key]["n"] += 1
        d["seen"] = d[key, 1]
        return x * d[key]["f"]

    d: dict[Any, Any] = {key: {"n": 0, "f": 2.0}, (key, 1): [3]}
    for n in range(1, 4):
        assert f(torch.ones(2), d, Many()).tolist() == [2.0, 2.0]
        assert d[key]["n"] == n and d["seen"] is d[key, 1]
    assert Many.shown == shown
    assert "Many" in str(torch.explain(f)) and Many.shown == shown


def test_attributes_whose_names_have_lines() -> None:
    @torch.compile
    def f(x: Any, m: Any) -> Any:
        values = vars(m)
        values["a\nb"] = values["a\nb"] + [1]
        return x + len(values["a\nb"])

    m = nn.Module()
    setattr(m, "a\nb", [])
    for n in range(1, 4):
        assert f(torch.zeros(1), m).item() == n


def test_a_warning_that_is_an_error_finds_the_writes_before_it_only() -> None:
    def run(decorate: Any) -> list[Any]:
        @decorate
        def f(x: Any, seen: list[int]) -> Any:
            seen.append(1)
            x.add_(1)
            warnings.warn(f"sum {x.sum().item()}", stacklevel=1)
            seen.append(2)
            x.add_(1)
            return x

        x, seen, out = torch.ones(2), [], []
        for action in ("error", "ignore", "error", "ignore"):
            with warnings.catch_warnings():
                warnings.simplefilter(action)  # type: ignore[arg-type]
                try:
                    f(x, seen)
                except UserWarning as error:
                    out.append(str(error))
            out.append((x.tolist(), list(seen)))
        return out

    assert run(torch.compile) == run(lambda f: f)


def test_a_file_that_is_missing_finds_the_writes_before_it_only(tmp_path: Any) -> None:
    def run(decorate: Any) -> list[Any]:
        @decorate
        def f(x: Any, path: str) -> Any:
            x.add_(1)
            with open(path) as file:
                text = file.read()
            x.add_(1)
            return text

        (tmp_path / "there").write_text("text")
        x, out = torch.ones(2), []
        for name in ("there", "absent", "there", "absent"):
            try:
                out.append(f(x, str(tmp_path / name)))
            except OSError as error:
                out.append(str(error))
            out.append(x.tolist())
        return out

    assert run(torch.compile) == run(lambda f: f)


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_warning_about_a_caller_names_the_callers_line(level: int) -> None:
    def run(decorate: Any) -> list[Any]:
        def inner(x: Any) -> Any:
            warnings.warn(f"old {x.sum().item()}", DeprecationWarning, stacklevel=level)
            return x

        @decorate
        def f(x: Any) -> Any:
            return inner(x) * 2

        def caller(x: Any) -> Any:
            return f(x)

        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for n in range(1, 4):
                caller(torch.ones(n))
        return [(str(w.message), w.category, w.filename, w.lineno) for w in found]

    assert run(lambda f: torch.compile(f, fullgraph=True)) == run(lambda f: f)


def test_a_retained_gradient_adds_up() -> None:
    w = torch.ones(3, requires_grad=True)

    def f(x: Any) -> Any:
        y = (w * x).exp()
        y.retain_grad()
        loss = y.sum()
        loss.backward(retain_graph=True)
        first = y.grad.clone()
        loss.backward()
        return first, y.grad

    compiled = torch.compile(f, fullgraph=True)
    for n in range(1, 4):
        for a, b in zip(f(torch.ones(3) * n), compiled(torch.ones(3) * n), strict=True):
            assert a.tolist() == b.tolist()


def test_a_tensor_behind_its_backward_pass_and_a_break_prints_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    w = torch.ones(3, requires_grad=True)

    def f(x: Any) -> Any:
        y = w * x
        y.sum().backward()
        if x.sum() > 0:
            print(y)
        return None

    compiled = torch.compile(f)
    for n in range(1, 4):
        f(torch.ones(3) * n)
        plain = capsys.readouterr().out
        compiled(torch.ones(3) * n)
        assert capsys.readouterr().out == plain
