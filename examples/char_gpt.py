"""A character-level GPT learns a text and writes on: ``python examples/char_gpt.py [FILE] [--eager]``. Without FILE: this one."""

import argparse
import time
from pathlib import Path

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F

CONTEXT, WIDTH, HEADS, LAYERS = 64, 96, 4, 3


class Block(nn.Module):
    """Causal attention and a two-layer network, each added to its input."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.network = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def attention(self, x):
        batch, time, width = x.shape
        q, k, v = (y.view(batch, time, HEADS, width // HEADS).transpose(1, 2) for y in self.qkv(x).split(width, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.network(self.second(x))


class GPT(nn.Module):
    """(batch, time) character numbers to (batch, time, characters) logits."""

    def __init__(self, characters):
        super().__init__()
        self.token, self.position = nn.Embedding(characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters, bias=False)

    def forward(self, tokens):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("file", nargs="?", default=__file__, help="a text")
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--steps", type=int, default=200)
options = parser.parse_args()

text = Path(options.file).read_text()
alphabet = sorted(set(text))
tokens = torch.tensor([alphabet.index(c) for c in text])

torch.manual_seed(0)
model = GPT(len(alphabet))
net = model if options.eager else torch.compile(model)
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)

start = time.perf_counter()
for step in range(options.steps):
    starts = torch.randint(0, len(tokens) - CONTEXT, (16, 1))
    rows = tokens[starts + torch.arange(CONTEXT + 1)]
    optimiser.zero_grad()
    loss = F.cross_entropy(net(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    optimiser.step()
    if step % 50 == 49:
        print(f"step {step + 1:4}  loss {loss.item():.3f}")

model.eval()
written = tokens[:8].tolist()
with torch.no_grad():
    for _ in range(200):  # the context grows: two graphs serve all of its lengths
        logits = net(torch.tensor([written[-CONTEXT:]]))[0, -1]
        written.append(torch.multinomial(F.softmax(logits, dim=-1), 1).item())
print("".join(alphabet[n] for n in written))
print(f"{time.perf_counter() - start:.1f} s")
