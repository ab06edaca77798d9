"""Networks that suite `gpu` runs, written once for any library with PyTorch's names: inference and training steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import zoo


@dataclass(frozen=True)
class Case:
    """`kind` "gpt": sizes (batch, length, vocabulary, width, heads, layers), tokens in, logits out; "mlp": (batch, width,
    hidden); "resnet": (batch, side, classes). `half`: in bfloat16. `flops` of an inference's products."""

    name: str
    kind: str
    sizes: tuple[int, ...]
    half: bool = False

    @property
    def text(self) -> str:
        """Sizes and type, for a table."""
        return f"{'x'.join(map(str, self.sizes))} {'bf16' if self.half else 'f32'}"

    @property
    def flops(self) -> float:
        """Multiplications and additions of an inference's products; 0 where nobody has counted."""
        if self.kind == "mlp":
            batch, width, hidden = self.sizes
            return 2.0 * batch * hidden * (2 * width + hidden)
        if self.kind == "gpt":
            batch, length, vocabulary, width, _, layers = self.sizes
            return 2.0 * batch * length * (layers * (12 * width * width + length * width) + vocabulary * width)
        return 0.0


def cases(tiny: bool) -> tuple[Case, ...]:
    """What is measured, the most telling first."""
    if tiny:
        return (Case("GPT-2 small", "gpt", (1, 16, 64, 32, 2, 1), True), Case("MLP", "mlp", (4, 8, 16)),
                Case("ResNet-18", "resnet", (2, 32, 10)))  # fmt: skip
    return (
        Case("GPT-2 small", "gpt", (8, 1024, 50304, 768, 12, 12), True), Case("GPT, 4 layers", "gpt", (16, 256, 5000, 256, 4, 4)),
        Case("MLP", "mlp", (4096, 1024, 4096), True), Case("ResNet-18", "resnet", (32, 224, 1000)),
    )  # fmt: skip


def network(lib: Any, case: Case, device: str) -> Any:
    """The network on `device`."""
    if case.kind == "gpt":
        _, length, vocabulary, width, heads, layers = case.sizes
        net = zoo.gpt(lib, vocabulary, width, heads, layers, length)
    elif case.kind == "resnet":
        net = zoo.resnet18(lib, case.sizes[2])
    else:
        nn, (_, width, hidden) = lib.nn, case.sizes
        layers_ = (nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, width))
        net = nn.Sequential(*layers_)
    net = net.to(device)
    return net.to(lib.bfloat16) if case.half else net


def batch(lib: Any, case: Case, device: str) -> tuple[Any, Any]:
    """(inputs, targets)."""
    if case.kind == "gpt":
        tokens, targets = (lib.randint(0, case.sizes[2], case.sizes[:2]).to(device) for _ in range(2))
        return tokens, targets
    kind = lib.bfloat16 if case.half else lib.float32
    if case.kind == "resnet":
        n, side, classes = case.sizes
        return lib.randn(n, 3, side, side).to(device), lib.randint(0, classes, (n,)).to(device)
    n, width, _ = case.sizes
    x, y = (lib.randn(n, width).to(device).to(kind) for _ in range(2))
    return x, y


def loss_of(lib: Any, case: Case) -> Callable[[Any, Any, Any], Any]:
    """A function of (network, inputs, targets)."""
    functional = lib.nn.functional
    if case.kind == "mlp":
        return lambda net, x, y: functional.mse_loss(net(x).float(), y.float())

    def loss(net: Any, x: Any, y: Any) -> Any:
        found = net(x).float()
        return functional.cross_entropy(found.view(-1, found.shape[-1]), y.view(-1))

    return loss


def inference(lib: Any, case: Case, device: str, compiled: Callable[[Any], Any]) -> Callable[[], object]:
    """Runs the network without gradients."""
    net = network(lib, case, device).eval()
    run_net, (x, _) = compiled(net), batch(lib, case, device)

    def run() -> object:
        with lib.no_grad():
            return run_net(x)  # type: ignore[no-any-return]

    return run


def training(lib: Any, case: Case, device: str, compiled: Callable[[Any], Any]) -> Callable[[], object]:
    """One step: forward, backward, AdamW."""
    net = network(lib, case, device).train()
    (x, y), forward = batch(lib, case, device), compiled(loss_of(lib, case))
    optimizer = lib.optim.AdamW(net.parameters(), lr=1e-4)

    def run() -> object:
        optimizer.zero_grad()
        loss = forward(net, x, y)
        loss.backward()
        optimizer.step()
        return loss  # type: ignore[no-any-return]

    return run
