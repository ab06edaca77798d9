"""``fusewire demo``: the main job. A character-level GPT learns fusewire's own source text twice from one seed: eager, compiled.

Prints progress, both loss curves and their largest difference, speed-up, compile time and a text that the model writes, and
leaves every stage of the compiled step as text in a folder. Decides nothing: what it prints is what it measured.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import zoo
from .row import package

SEED, STEPS, BATCH, CONTEXT, WIDTH, HEADS, LAYERS = 7, 400, 12, 64, 128, 4, 4
RATE, WARM_UP, WRITTEN = 1e-3, 20, 240
PARTS = ("forward", "backward", "optimiser")
#: largest difference of the two loss curves that rounding explains, after 400 steps have amplified it
TOLERANCE = 1e-3


@dataclass
class Run:
    """One training: loss and seconds of every step, in all and for each of PARTS."""

    name: str
    model: Any
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    parts: list[tuple[float, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Corpus:
    """A text as numbers of its characters: ``alphabet[tokens[i]]`` is its i-th."""

    tokens: np.ndarray[Any, Any]
    alphabet: str

    @staticmethod
    def of_sources() -> Corpus:
        """The Python files of this package, in the order of their names; characters beyond ASCII read as "?"."""
        root = Path(__file__).resolve().parents[1]
        folders = ("ir", "eager", "nn", "optim", "tracer", "backends", "runtime")
        files = sorted(p for name in folders for p in (root / name).rglob("*.py"))
        text = "".join(p.read_text(encoding="utf-8") for p in files).encode("ascii", "replace").decode()
        alphabet = "".join(sorted(set(text)))
        return Corpus(_numbers(text, alphabet), alphabet)

    def batch(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """BATCH stretches of CONTEXT characters, and the characters that follow each."""
        fw = package()
        starts = rng.integers(0, len(self.tokens) - CONTEXT - 1, BATCH)
        rows = self.tokens[starts[:, None] + np.arange(CONTEXT + 1)]
        return fw.from_numpy(rows[:, :-1].copy()), fw.from_numpy(rows[:, 1:].copy())


def _numbers(text: str, alphabet: str) -> np.ndarray[Any, Any]:
    table = np.zeros(128, np.int64)
    table[np.frombuffer(alphabet.encode(), np.uint8)] = np.arange(len(alphabet))
    return table[np.frombuffer(text.encode(), np.uint8)]


def make_model(corpus: Corpus) -> Any:
    """The GPT; weights drawn from the seed, the same at every call."""
    fw = package()
    fw.manual_seed(SEED)
    model = zoo.gpt(fw, len(corpus.alphabet), WIDTH, HEADS, LAYERS, CONTEXT)
    with fw.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and parameter.ndim == 2:
                parameter.normal_(0.0, 0.02)
    return model


def train(run: Run, loss_function: Callable[..., Any], corpus: Corpus, steps: int, say: Callable[[str], None]) -> None:
    """Fit `run.model`; the batches come from the seed."""
    fw = package()
    fw.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    optimiser = fw.optim.AdamW(run.model.parameters(), lr=RATE)
    run.model.train()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / WARM_UP)
        tokens, targets = corpus.batch(rng)
        start = time.perf_counter()
        optimiser.zero_grad()
        loss = loss_function(run.model, tokens, targets)
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        optimiser.step()
        end = time.perf_counter()
        run.seconds.append(end - start)
        run.parts.append((forward - start, backward - forward, end - backward))
        run.losses.append(loss.item())
        if step + 1 == steps or (step + 1) % max(1, steps // 4) == 0:
            say(f"  {run.name:9} step {step + 1:4}/{steps}   loss {run.losses[-1]:.3f}   {sum(run.seconds):.1f} s")


def write(model: Any, corpus: Corpus, beginning: str, count: int) -> tuple[str, int]:
    """`beginning` and `count` characters that the compiled model draws one by one, and the number of graphs compiled for all
    lengths of the context."""
    fw = package()
    fw.manual_seed(SEED)
    compiled = fw.compile(model.eval())
    tokens = [corpus.alphabet.index(c) for c in beginning]
    with fw.no_grad():
        for _ in range(count):
            logits = compiled(fw.tensor([tokens[-CONTEXT:]]))[0, -1]
            tokens.append(int(fw.multinomial(fw.softmax(logits / 0.7, dim=-1), 1).item()))
    from .. import compiler

    return "".join(corpus.alphabet[t] for t in tokens), len(compiler.variants_of(compiled))


def sparkline(values: list[float], width: int = 60) -> str:
    """`values` as one line of bars, on a logarithmic scale from their smallest to their largest."""
    step = max(1, len(values) // width)
    means = [sum(values[i : i + step]) / step for i in range(0, len(values) - step + 1, step)]
    logs = [math.log(max(m, 1e-12)) for m in means]
    low, high = min(logs), max(logs)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (v - low) / (high - low or 1))] for v in logs)


def main(say: Callable[[str], None] = print, steps: int = STEPS) -> int:
    """Run the demo; 0 when the losses of eager and compiled agree within TOLERANCE at every step, else 1."""
    from ..backends.entry import warm

    fw, started, corpus = package(), time.perf_counter(), Corpus.of_sources()
    model = make_model(corpus)
    count = sum(p.numel() for p in model.parameters())
    say(f"fusewire demo: a character-level GPT learns fusewire's own sources ({len(corpus.tokens):,} characters)")
    say(f"{LAYERS} layers, width {WIDTH}, {HEADS} heads, {count:,} parameters; batch {BATCH} x {CONTEXT}, AdamW, seed {SEED}, "
        f"{fw.get_num_threads()} thread(s)")  # fmt: skip
    loss_of = zoo.token_loss(fw)
    compiled = fw.compile(loss_of)
    base, ours = Run("eager", model), Run("compiled", make_model(corpus))
    train(base, loss_of, corpus, steps, say)
    train(ours, compiled, corpus, steps, say)
    worst = max(abs(a - b) for a, b in zip(base.losses, ours.losses, strict=True))
    report(base, ours, worst, say)
    say(f"stages of the compiled step: {dump(compiled, ours.model, corpus)}")
    text, graphs = write(ours.model, corpus, "def ", WRITTEN)
    say(f"the compiled model writes, {graphs} graph(s) compiled for contexts of 4 to {CONTEXT} characters:")
    say("\n".join(f"    {line}" for line in text.splitlines()))
    warm()
    say(f"total {time.perf_counter() - started:.1f} s")
    if worst > TOLERANCE:
        say("the loss curves differ: this is a defect, please report it")
    return int(worst > TOLERANCE)


def report(base: Run, ours: Run, worst: float, say: Callable[[str], None]) -> None:
    """Both curves, their difference, and what compiling cost and gained."""
    from .. import knobs

    steady = {r.name: statistics.median(r.seconds[len(r.seconds) // 2 :]) for r in (base, ours)}
    first = ours.seconds[0] - steady["compiled"]
    say("")
    for run in (base, ours):
        say(f"{run.name:9} {sparkline(run.losses)}  {run.losses[0]:.3f} -> {run.losses[-1]:.3f}")
    say(f"largest difference of the loss curves: {worst:.1e}, over {len(base.losses)} steps")
    say(f"a training step: eager {1e3 * steady['eager']:.2f} ms, compiled {1e3 * steady['compiled']:.2f} ms: "
        f"{steady['eager'] / steady['compiled']:.2f} times as fast")  # fmt: skip
    for k, part in enumerate(PARTS):
        eager, compiled = (1e3 * statistics.median(x[k] for x in r.parts[len(r.parts) // 2 :]) for r in (base, ours))
        note = "   (one compiled kernel a parameter, in both)" if part == "optimiser" and knobs.fused_optim else ""
        say(f"  {part:9} {eager:6.2f} -> {compiled:.2f} ms{note}")
    say(f"compile time (forward and backward, once): {1e3 * first:.0f} ms")


def dump(compiled: Any, model: Any, corpus: Corpus) -> Path:
    """Write every stage of the compiled step into a folder; the folder."""
    from .. import knobs
    from ..cli import stage_texts

    tokens, targets = corpus.batch(np.random.default_rng(SEED))
    model.train()
    folder = Path(knobs.cache_folder()) / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for stage, text in stage_texts(compiled, (model, tokens, targets)).items():
        (folder / f"{stage}.txt").write_text(text + "\n")
    return folder
