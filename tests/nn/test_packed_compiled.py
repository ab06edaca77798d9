"""A compiled model over packed sequences of ever other lengths gives eager's values and gradients."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import fusewire as fw
from fusewire import nn
from fusewire.errors import ShapeError
from fusewire.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from fusewire.tracer import dispatch


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, (h, _) = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
        return self.head(h[-1]).sum() + out.sum()


def test_packed_sequences_of_other_lengths() -> None:
    fw.manual_seed(0)
    model = Reader()
    compiled = fw.compile(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # open sizes that gradients cannot be compiled for are told once
        for lengths in ([3, 1], [2, 4], [4, 3]):
            x = fw.randn(2, max(lengths), 3)
            seen = []
            for call in (model, compiled):
                model.zero_grad()
                value = call(x, fw.tensor(lengths))
                value.backward()
                seen.append([value.detach(), *(p.grad.clone() for p in model.parameters())])
            assert all(fw.allclose(a, b, atol=1e-5) for a, b in zip(*seen, strict=True))


def test_gradients_that_open_sizes_do_not_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*args: Any) -> Any:
        raise ShapeError("slice: [s1:s0 - 1:1] lies outside")

    monkeypatch.setattr(dispatch, "Variant", refuses)
    twice = fw.compile(lambda x: (x * 2).sum())
    x = fw.ones(3, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="runs eagerly: its gradients cannot be compiled"):
        twice(x).backward()
    assert x.grad is not None and x.grad.tolist() == [2.0, 2.0, 2.0] and twice(x).item() == 6.0
