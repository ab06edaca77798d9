"""A character LSTM learns a text and writes on: ``python examples/char_rnn.py [FILE] [--eager]``. Without FILE: this one."""

import argparse
import time
from pathlib import Path

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F

CONTEXT, WIDTH, BATCH = 48, 128, 16


class CharRNN(nn.Module):
    """(batch, time) character numbers and a state to (batch, time, characters) logits and the next state."""

    def __init__(self, characters):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(characters, 32), nn.LSTM(32, WIDTH, num_layers=2, batch_first=True)
        self.head = nn.Linear(WIDTH, characters)

    def forward(self, tokens, state=None):
        y, state = self.rnn(self.embed(tokens), state)
        return self.head(y), state


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("file", nargs="?", default=__file__, help="a text")
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=60)
options = parser.parse_args()

text = Path(options.file).read_text()
alphabet = sorted(set(text))
tokens = torch.tensor([alphabet.index(c) for c in text])
length = (len(tokens) - 1) // BATCH
inputs, targets = tokens[: BATCH * length].view(BATCH, length), tokens[1 : BATCH * length + 1].view(BATCH, length)

torch.manual_seed(0)
model = CharRNN(len(alphabet))
net = model if options.eager else torch.compile(model)
optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)

start = time.perf_counter()
for epoch in range(options.epochs):
    state, total, pieces = None, 0.0, range(0, length - CONTEXT + 1, CONTEXT)
    for at in pieces:  # the state goes on from piece to piece, its history does not
        optimiser.zero_grad()
        logits, state = net(inputs[:, at : at + CONTEXT], state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets[:, at : at + CONTEXT].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        state = tuple(s.detach() for s in state)
        total += loss.item()
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3}  loss {total / len(pieces):.3f}")

model.eval()
written = [0]
with torch.no_grad():
    state, token = None, tokens[:1].view(1, 1)
    for _ in range(200):
        logits, state = net(token, state)
        token = torch.multinomial(F.softmax(logits[0, -1] / 0.7, dim=-1), 1).view(1, 1)
        written.append(token.item())
print("".join(alphabet[n] for n in written[1:]))
print(f"{time.perf_counter() - start:.1f} s")
