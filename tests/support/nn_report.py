"""What nn and optim have of PyTorch's: ``python tests/support/nn_report.py [--compiled] [--autocast]``, beside PyTorch.

Counts, by kind, the names that are there, and over the rows of tests/nn how many are equal in values, in gradients, in the keys
of the state and in the printed form; with `--compiled` also which rows are one graph, and why others are not; with `--autocast`
which rows have PyTorch's dtypes and values (to 5%) inside of autocast, eager, and compiled those of eager. Asserts nothing.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fusewire as fw

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nn"))


def main(args: Sequence[str]) -> None:
    """Print the report."""
    import torch

    warnings.simplefilter("ignore")
    layers = importlib.import_module("test_layers_beside_pytorch")
    rows = importlib.import_module("layer_rows")
    names = [n for n in torch.nn.modules.__all__ if isinstance(getattr(torch.nn, n), type)]
    losses = [n for n in names if n.endswith(("Loss", "Loss2d")) or n in ("CosineSimilarity", "PairwiseDistance")]
    rest = [n for n in names if n not in losses]
    of = {"losses": list(rows.LOSSES.items()), "layers": [r for r in rows.ROWS if r[0] not in rows.LOSSES]}
    for kind, wanted in (("layers", rest), ("losses", losses)):
        there(kind, wanted, fw.nn)
        verdicts = {text: layer(layers, text, call) for text, call in of[kind]}
        told(kind, verdicts)
    optimisers = [n for n in dir(torch.optim) if isinstance(getattr(torch.optim, n), type) and n != "Optimizer"]
    there("optimisers", optimisers, fw.optim)
    steps = importlib.import_module("test_optimisers_beside_pytorch")
    told("optimisers", {t: passed(steps.test_optimiser_is_pytorch_s, t) for t in steps.ROWS}
         | {t: passed(steps.test_closure_optimiser_is_pytorch_s, t) for t in steps.CLOSURES})  # fmt: skip
    there("schedulers", torch.optim.lr_scheduler.__all__, fw.optim.lr_scheduler)
    rates = importlib.import_module("test_schedulers_beside_pytorch")
    told("schedulers", {t: passed(rates.test_scheduler_is_pytorch_s, t) for t in rates.ROWS})
    if "--compiled" in args:
        compiled("layers and losses", {t: (lambda t=t, a=a: layers.test_layer_is_one_graph(t, a)) for t, a in rows.ROWS if a})
        compiled("optimisers", {t: (lambda t=t: steps.test_optimiser_step_is_one_graph(t)) for t in steps.ROWS})
    if "--autocast" in args:
        lowered(layers, [r for r in rows.ROWS if r[1]])


def lowered(layers: Any, rows: Sequence[tuple[str, str]]) -> None:
    """How many rows have PyTorch's dtypes and values inside of autocast."""
    import torch

    wrong = dict.fromkeys(("eager", "compiled"), 0)
    for text, call in rows:
        state = layers.built(torch, text).state_dict()
        found = [under(layers, text, call, state, *how) for how in ((torch, False), (fw, False), (fw, True))]
        for name, mine, other in (("eager", found[1], found[0]), ("compiled", found[2], found[1])):
            close = len(mine) == len(other) and all(
                str(a) == str(b) and x.shape == y.shape and np.allclose(x, y, 0.05, 0.05, True)
                for (a, x), (b, y) in zip(mine, other, strict=True))  # fmt: skip
            if not close:
                wrong[name] += 1
                print(f"  autocast, {name}: {text}")
    for name, count in wrong.items():
        print(f"autocast, {name}: {len(rows) - count} of {len(rows)} rows equal in dtypes and values")


def under(layers: Any, text: str, call: str, state: Any, lib: Any, is_compiled: bool) -> list[tuple[Any, Any]]:
    """(dtype, values) of results and gradients of a row inside of autocast; what it raises where it does."""
    layer, given = layers.built(lib, text), layers.tensors(lib)
    layer.load_state_dict({k: lib.from_numpy(v.numpy().copy()) for k, v in state.items()})

    def run(*args: Any) -> Any:
        with lib.autocast("cpu"):
            return layer(*args)

    try:
        out = layers.flat((fw.compile(run) if is_compiled else run)(*eval(f"({call},)", {"nn": lib.nn, "t": lib}, given)))
        real = [o for o in out if o.requires_grad]
        if real:
            sum((o.float() * o.float() * 0.5 + o.float()).sum() for o in real).backward()
    except Exception as e:  # told beside the row
        return [(type(e).__name__, np.zeros(0))]
    grads = [t.grad for t in [*given.values(), *layer.parameters()] if t.grad is not None]
    return [(str(t.dtype), t.detach().float().numpy()) for t in [*out, *grads]]


def there(kind: str, wanted: Sequence[str], home: Any) -> None:
    """How many names of a kind are there, and which are not."""
    missing = [n for n in wanted if not hasattr(home, n)]
    lacking = f"; missing: {', '.join(missing)}" if missing else ""
    print(f"{kind}: {len(wanted) - len(missing)} of {len(wanted)} names{lacking}")


def layer(tests: Any, text: str, call: str) -> list[str]:
    """In what a row differs from PyTorch."""
    import torch

    wrong = []
    ours, theirs = tests.built(fw, text), tests.built(torch, text)
    if repr(ours) != re.sub(r"torch\.", "fusewire.", repr(theirs)):
        wrong.append("text")
    state = {k: v.numpy().copy() for k, v in theirs.state_dict().items()}
    if list(ours.state_dict()) != list(state):
        return [*wrong, "state"]
    ours.load_state_dict({k: fw.from_numpy(v) for k, v in state.items()})
    if not call:
        return wrong
    mine, other = tests.results(fw, ours, call), tests.results(torch, theirs, call)
    values = len(tests.flat(theirs(*eval(f"({call},)", {"nn": torch.nn, "t": torch}, tests.tensors(torch)))))
    for part, a, b in (("values", mine[:values], other[:values]), ("gradients", mine[values:], other[values:])):
        close = len(a) == len(b) and all(x.dtype == y.dtype and x.shape == y.shape and np.allclose(x, y, 2e-5, 1e-5, True)
                                         for x, y in zip(a, b, strict=True))  # fmt: skip
        wrong += [] if close else [part]
    return wrong


def passed(test: Callable[..., Any], text: str) -> list[str]:
    """Whether a row's test passes."""
    try:
        test(text)
    except Exception as e:  # whatever it is, the row differs
        return [str(e).strip().split("\n")[0][:60] or type(e).__name__]
    return []


def told(kind: str, verdicts: dict[str, list[str]]) -> None:
    """How many rows are equal, and in what the others differ."""
    bad = {text: why for text, why in verdicts.items() if why}
    print(f"  {len(verdicts) - len(bad)} of {len(verdicts)} rows of {kind} equal in values, gradients, state and text")
    for text, why in bad.items():
        print(f"  {text}: {', '.join(why)}")


def compiled(kind: str, runs: dict[str, Callable[[], Any]]) -> None:
    """How many rows are one graph, forward and backward, and why the others are not."""
    broken: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for text, run in runs.items():
            try:
                run()
            except Exception as e:  # told beside the row
                broken[text] = str(e).strip().split("\n")[0][:110]
    print(f"{kind} compiled: {len(runs) - len(broken)} of {len(runs)} one graph, forward and backward")
    for text, why in broken.items():
        print(f"  {text}: {why}")


if __name__ == "__main__":
    main(sys.argv[1:])
