"""``fusewire demo``: the main job. One MLP learns handwritten digits twice from one seed, eagerly and compiled.

Prints progress, both loss curves and their largest difference, accuracy, speed-up and compile time, and leaves every stage
of the compiled step as text in a folder. Decides nothing: what it prints is what it measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED, BATCH, EPOCHS = 7, 128, 12
WIDTHS = (64, 512, 256, 10)
PARTS = ("forward", "backward", "optimiser")


@dataclass
class Run:
    """One training: loss and seconds of every step, in all and for each of PARTS, and the accuracy at the end."""

    name: str
    model: Any
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    parts: list[tuple[float, ...]] = field(default_factory=list)
    accuracy: float = 0.0


def make_model() -> Any:
    """An MLP classifier of ordinary layers; weights drawn from the current seed."""
    from .. import nn

    first, second, third, classes = WIDTHS
    return nn.Sequential(
        nn.Linear(first, second), nn.ReLU(), nn.Dropout(0.1), nn.Linear(second, third), nn.ReLU(), nn.Linear(third, classes)
    )


def loss_of(model: Any, images: Any, labels: Any) -> Any:
    """The function that is compiled: the model's forward and the loss."""
    from ..nn import functional

    return functional.cross_entropy(model(images), labels)


def train(run: Run, loss_function: Callable[..., Any], epochs: int, say: Callable[[str], None]) -> None:
    """Fit `run.model` on the digits; the order of batches and all dropout masks come from the seed."""
    from .. import manual_seed, optim
    from ..utils.data import DataLoader
    from ..vision import load_digits

    manual_seed(SEED)
    loader = DataLoader(load_digits(train=True), batch_size=BATCH, shuffle=True, drop_last=True)
    optimiser = optim.Adam(run.model.parameters(), lr=2e-3)
    run.model.train()
    for epoch in range(epochs):
        for images, labels in loader:
            start = time.perf_counter()
            optimiser.zero_grad()
            loss = loss_function(run.model, images, labels)
            forward = time.perf_counter()
            loss.backward()
            backward = time.perf_counter()
            optimiser.step()
            end = time.perf_counter()
            run.seconds.append(end - start)
            run.parts.append((forward - start, backward - forward, end - backward))
            run.losses.append(loss.item())
        if epoch % 3 == 2 or epoch == epochs - 1:
            say(f"  {run.name:9} epoch {epoch + 1:2}/{epochs}   loss {run.losses[-1]:.4f}")
    run.accuracy = accuracy(run.model)


def accuracy(model: Any) -> float:
    """Share of the test images that the model classifies right."""
    from .. import no_grad
    from ..vision import load_digits

    images, labels = load_digits(train=False).tensors
    model.eval()
    with no_grad():
        predicted = model(images).numpy().argmax(axis=1)
    return float((predicted == labels.numpy()).mean())


def sparkline(values: list[float], width: int = 60) -> str:
    """`values` as one line of bars, on a logarithmic scale from their smallest to their largest."""
    import math

    step = max(1, len(values) // width)
    means = [sum(values[i : i + step]) / step for i in range(0, len(values) - step + 1, step)]
    logs = [math.log(max(m, 1e-12)) for m in means]
    low, high = min(logs), max(logs)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (v - low) / (high - low or 1))] for v in logs)


def main(say: Callable[[str], None] = print, epochs: int = EPOCHS) -> int:
    """Run the demo; 0 when the losses of eager and compiled agree within 1e-3 at every step, else 1."""
    from .. import compiler, manual_seed, set_num_threads
    from ..backends.entry import warm

    started, shape = time.perf_counter(), "-".join(map(str, WIDTHS))
    set_num_threads(1)  # a steady race: kernels run on one thread, and so do matrix products
    say(f"fusewire demo: an MLP {shape} with dropout learns handwritten digits")
    say(f"Adam, batch {BATCH}, seed {SEED}, one thread")
    runs = []
    compiled = compiler.compile(loss_of)
    for name, function in (("eager", loss_of), ("compiled", compiled)):
        manual_seed(SEED)
        run = Run(name, make_model())
        train(run, function, epochs, say)
        runs.append(run)
    ours, base = runs[1], runs[0]
    worst = max(abs(a - b) for a, b in zip(base.losses, ours.losses, strict=True))
    report(base, ours, worst, say)
    say(f"stages of the compiled step: {dump(compiled, ours.model)}")
    warm()
    say(f"total {time.perf_counter() - started:.1f} s")
    if worst > 1e-3:
        say("the loss curves differ: this is a defect, please report it")
    return int(worst > 1e-3)


def report(base: Run, ours: Run, worst: float, say: Callable[[str], None]) -> None:
    """Both curves, their difference, accuracy, and what compiling cost and gained."""
    from .. import knobs

    steady = {r.name: statistics.median(r.seconds[len(r.seconds) // 2 :]) for r in (base, ours)}
    first = ours.seconds[0] - steady["compiled"]
    say("")
    for run in (base, ours):
        say(f"{run.name:9} {sparkline(run.losses)}  {run.losses[0]:.3f} -> {run.losses[-1]:.4f}")
    say(f"largest difference of the loss curves: {worst:.1e}, over {len(base.losses)} steps")
    say(f"accuracy on unseen digits: eager {base.accuracy:.1%}, compiled {ours.accuracy:.1%}")
    say(
        f"a training step: eager {1e3 * steady['eager']:.2f} ms, compiled {1e3 * steady['compiled']:.2f} ms: "
        f"{steady['eager'] / steady['compiled']:.2f} times as fast"
    )
    for k, part in enumerate(PARTS):
        eager, compiled = (1e3 * statistics.median(x[k] for x in r.parts[len(r.parts) // 2 :]) for r in (base, ours))
        note = "   (one compiled kernel a parameter, in both)" if part == "optimiser" and knobs.fused_optim else ""
        say(f"  {part:9} {eager:6.2f} -> {compiled:.2f} ms{note}")
    say(f"compile time (forward and backward, once): {1e3 * first:.0f} ms")


def dump(compiled: Any, model: Any) -> Path:
    """Write every stage of the compiled step into a folder; the folder."""
    from .. import knobs
    from ..cli import stage_texts
    from ..vision import load_digits

    images, labels = load_digits(train=True)[:BATCH]
    model.train()
    folder = Path(knobs.cache_folder()) / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for stage, text in stage_texts(compiled, (model, images, labels)).items():
        (folder / f"{stage}.txt").write_text(text + "\n")
    return folder
