"""Networks that suite `gpu` runs, written once for any library with PyTorch's names: inference and training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: name -> sizes, by whether the run is quick
MODELS: dict[bool, dict[str, tuple[int, ...]]] = {
    False: {"mlp": (4096, 1024, 4096), "gpt": (16, 4, 256, 256), "gpt2": (8, 12, 768, 512), "resnet": (64, 64, 32)},
    True: {"mlp": (256, 128, 256), "gpt": (2, 2, 64, 64), "resnet": (4, 16, 16)},
}


def network(lib: Any, name: str, size: tuple[int, ...]) -> tuple[Any, Any]:
    """The network on the GPU and an input for it; "gpt2" is in bfloat16, the others in float32."""
    makers: dict[str, Callable[..., tuple[Any, Any]]] = {"mlp": _mlp, "gpt": _gpt, "gpt2": _gpt, "resnet": _resnet}
    made = makers[name](lib, *size)
    net, x = (part.to("cuda") for part in made)
    return (net.to(lib.bfloat16), x.to(lib.bfloat16)) if name == "gpt2" else (net, x)


def _mlp(lib: Any, batch: int, width: int, hidden: int) -> tuple[Any, Any]:
    nn = lib.nn
    layers = (nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, width))
    return nn.Sequential(*layers), lib.randn(batch, width)


def _gpt(lib: Any, batch: int, layers: int, width: int, length: int) -> tuple[Any, Any]:
    nn, heads = lib.nn, max(1, width // 64)

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        """One layer with causal attention."""

        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            """(batch, length, width) to the same."""
            b, t, _ = x.shape
            q, k, v = (p.view(b, t, heads, -1).transpose(1, 2) for p in self.qkv(self.before(x)).chunk(3, -1))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, width))
            return x + self.down(nn.functional.gelu(self.up(self.between(x))))

    return nn.Sequential(*[Block() for _ in range(layers)]), lib.randn(batch, length, width)


def _resnet(lib: Any, batch: int, width: int, side: int) -> tuple[Any, Any]:
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        """Two convolutions beside an identity."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
            self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

        def forward(self, x: Any) -> Any:
            """(batch, width, side, side) to the same."""
            y = self.norm2(self.second(self.norm1(self.first(x)).relu()))
            return (x + y).relu()

    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *[Block() for _ in range(4)], *head), lib.randn(batch, 3, side, side)


def inference(lib: Any, name: str, size: tuple[int, ...], compiled: Callable[[Any], Any]) -> Callable[[], object]:
    """Runs the network without gradients."""
    net, x = network(lib, name, size)
    run_net = compiled(net.eval())

    def run() -> object:
        with lib.no_grad():
            return run_net(x)  # type: ignore[no-any-return]

    return run


def training(lib: Any, name: str, size: tuple[int, ...], compiled: Callable[[Any], Any]) -> Callable[[], object]:
    """One step: forward, backward, AdamW."""
    net, x = network(lib, name, size)
    optimizer = lib.optim.AdamW(net.parameters(), lr=1e-4)
    forward = compiled(lambda x: (net(x).float() ** 2).mean())

    def run() -> object:
        optimizer.zero_grad()
        loss = forward(x)
        loss.backward()
        optimizer.step()
        return loss  # type: ignore[no-any-return]

    return run
