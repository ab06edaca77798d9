"""Suite `loops`: steps of ordinary training loops (MLP, CNN, LSTM, Transformer encoder), eager and compiled, beside PyTorch.

The goals (facts `eager_of_torch`, `compiled_of_best`): eager at most 1.5 times PyTorch's eager; compiled at most as long as the
better of PyTorch's two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import peers, zoo
from .row import Row, package
from .timing import interleaved
from .training import step_of

#: steps, and seconds, before anything is timed: past the compiles, and past the call at which small hot ops are compiled
WARM, SECONDS = 1500, 5.0
WHOLE, MODEL, EAGER = "fusewire whole step", "fusewire compile(model)", "fusewire eager"


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds a step of forward, loss, backward, optimiser; facts: seconds of the first two steps, and the ratios."""
    fw, torch = package(), peers.torch_at(threads)
    fw.set_num_threads(threads)
    for case, kind in cases():
        yield _row(case, kind, threads, 7 if quick else 15, fw, torch)


def _row(case: zoo.Case, kind: str, threads: int, rounds: int, fw: Any, torch: Any) -> Row:
    contenders: dict[str, Callable[[], object]] = {}
    first: dict[str, float] = {}
    for name, library, whole, model in _entrants(fw, torch):
        call = step(case, kind, library, whole, model)
        start = time.perf_counter()
        if library is not fw and not peers.works(call):
            continue
        call()
        first[name] = time.perf_counter() - start
        deadline = time.perf_counter() + SECONDS
        for _ in range(WARM):
            if time.perf_counter() < deadline:
                call()
        contenders[name] = call
    times = {name: 1e3 * t for name, t in interleaved(contenders, rounds, 0.1).items()}
    facts: dict[str, Any] = {"first_steps_s": first}
    if peers.TORCH_EAGER in times:
        best = min(t for name, t in times.items() if name.startswith("torch"))
        facts["eager_of_torch"] = times[EAGER] / times[peers.TORCH_EAGER]
        facts["compiled_of_best"] = {name: times[name] / best for name in (WHOLE, MODEL)}
    return Row("loops", f"{case.name} {kind}", threads, "ms", times, facts)


def _entrants(fw: Any, torch: Any) -> Iterator[tuple[str, Any, bool, bool]]:
    """(name, library, whether the whole step is compiled, whether the model is)."""
    yield WHOLE, fw, True, False
    yield MODEL, fw, False, True
    yield EAGER, fw, False, False
    if torch is not None:
        yield peers.TORCH_EAGER, torch, False, False
        yield peers.TORCH_COMPILE, torch, False, True


def step(case: zoo.Case, kind: str, library: Any, whole: bool, compiled: bool) -> Callable[[], object]:
    """One step of the loop on the next of a few batches, in ordinary style."""
    model, loss = zoo.make(case, library).train(), case.loss(library)
    optimiser = getattr(library.optim, kind)(model.parameters(), lr=1e-3)
    if compiled:
        model = library.compile(model)
    rng = np.random.default_rng(2)
    orders = [rng.permutation(len(case.training_batch[0])) for _ in range(4)]
    batches = [[library.from_numpy(np.ascontiguousarray(x[order])) for x in case.training_batch] for order in orders]

    body = step_of(optimiser, loss, model)
    stepping = library.compile(body) if whole else body

    def call() -> object:
        batches.append(batches.pop(0))
        return stepping(*batches[0])

    return call


# ---- the models ----------------------------------------------------------------------------------------------------------
def mlp(torch: Any) -> Any:
    """64-128-128-10: small enough that the time between kernels counts."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def cnn(torch: Any) -> Any:
    """Two convolutions with pooling and two linear maps, for 28 x 28 images."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10),
    )  # fmt: skip


def lstm(torch: Any) -> Any:
    """A character model: (batch, time) numbers to (batch, time, 64) logits."""
    return _reader(torch, lambda nn: nn.LSTM(64, 128, batch_first=True))


def _reader(torch: Any, layer: Callable[[Any], Any]) -> Any:
    nn = torch.nn

    class Reader(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.layer, self.head = nn.Embedding(64, 64), layer(nn), nn.Linear(128, 64)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.layer(self.embedding(tokens))[0])

    return Reader()


def encoder(torch: Any) -> Any:
    """Two layers of `nn.TransformerEncoder`, width 128, 4 heads, and a classifier of the mean."""
    nn = torch.nn

    class Classifier(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(64, 128)
            layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(128, 10)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.encoder(self.embedding(tokens)).mean(1))

    return Classifier()


def cases() -> tuple[tuple[zoo.Case, str], ...]:
    """(case, optimiser) of each row."""
    rng = np.random.default_rng(0)
    vectors, images = rng.standard_normal((64, 64), np.float32), rng.standard_normal((32, 1, 28, 28), np.float32)
    tokens, labels = rng.integers(0, 64, (32, 48)), rng.integers(0, 10, 64)
    flat = zoo.Case("MLP", mlp, zoo.class_loss, (vectors,), (vectors, labels))
    return (
        (flat, "SGD"),
        (flat, "Adam"),
        (zoo.Case("CNN", cnn, zoo.class_loss, (images,), (images, labels[:32])), "Adam"),
        (zoo.Case("LSTM", lstm, zoo.token_loss, (tokens,), (tokens, np.roll(tokens, -1, 1))), "Adam"),
        (zoo.Case("Transformer encoder", encoder, zoo.class_loss, (tokens,), (tokens, labels[:32])), "AdamW"),
    )
