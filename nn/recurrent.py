"""Recurrent layers and cells: RNN, LSTM, GRU. All steps' inputs are mapped by one product; then step follows step.

All steps are one call of a record. Packed sequences and projections are loops over steps: compiled, they are unrolled.
"""

from __future__ import annotations

import math
from typing import Any

from ..eager import notices
from ..eager.arranging import flip
from ..eager.creation import empty
from ..eager.functional import stack
from ..eager.generated import cat, relu, sigmoid, tanh
from ..eager.tensor import Tensor
from ..ir.ops.gru import gru_steps
from ..ir.ops.lstm import lstm_steps
from ..ir.ops.rnn import rnn_steps
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

State = tuple[Any, ...]


def _tanh_step(gates: Tensor, state: State, w: Tensor, b: Tensor | None, out: Tensor | None) -> State:
    return (tanh(gates + F.linear(state[0], w, b)),)


def _relu_step(gates: Tensor, state: State, w: Tensor, b: Tensor | None, out: Tensor | None) -> State:
    return (relu(gates + F.linear(state[0], w, b)),)


def _lstm_step(gates: Tensor, state: State, w: Tensor, b: Tensor | None, out: Tensor | None) -> State:
    h, c = state
    enter, forget, new, leave = (gates + F.linear(h, w, b)).chunk(4, -1)
    c = sigmoid(forget) * c + sigmoid(enter) * tanh(new)
    h = sigmoid(leave) * tanh(c)
    return (h if out is None else F.linear(h, out), c)


def _gru_step(gates: Tensor, state: State, w: Tensor, b: Tensor | None, out: Tensor | None) -> State:
    h = state[0]
    reset, update, new = gates.chunk(3, -1)
    own_reset, own_update, own_new = F.linear(h, w, b).chunk(3, -1)
    new = tanh(new + sigmoid(reset + own_reset) * own_new)
    return (new + sigmoid(update + own_update) * (h - new),)


_STEPS = {"RNN_TANH": _tanh_step, "RNN_RELU": _relu_step, "LSTM": _lstm_step, "GRU": _gru_step}
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _scan(step: Any, gates: list[Any], state: State, weights: tuple[Any, ...]) -> tuple[list[Any], State]:
    """(each step's output, the last state of each sequence); later steps may have fewer sequences."""
    outputs, ended = [], []
    for g in gates:
        n = g.shape[0]
        if n < state[0].shape[0]:
            ended.append(tuple(s[n:] for s in state))
            state = tuple(s[:n] for s in state)
        state = step(g, state, *weights)
        outputs.append(state[0])
    if ended:
        parts = [state, *reversed(ended)]
        state = tuple(cat([p[i] for p in parts], 0) for i in range(len(state)))
    return outputs, state


def _scan_back(step: Any, gates: list[Any], first: State, weights: tuple[Any, ...]) -> tuple[list[Any], State]:
    """`_scan` from the last step to the first; sequences join at their own last steps."""
    n = gates[-1].shape[0]
    state = tuple(s[:n] for s in first) if n < first[0].shape[0] else first
    outputs: list[Any] = []
    for g in reversed(gates):
        have, n = state[0].shape[0], g.shape[0]
        if n > have:
            state = tuple(cat([s, f[have:n]], 0) for s, f in zip(state, first, strict=True))
        state = step(g, state, *weights)
        outputs.append(state[0])
    outputs.reverse()
    return outputs, state


def _whole(mode: str, gates: Tensor, state: State, w: Tensor, b: Tensor | None, backwards: bool) -> tuple[Tensor, State]:
    """All steps as one call: (outputs, last state). `gates`: (steps, batch, parts * width), with their biases; `b`: the one that
    a GRU's own part has."""
    gates = flip(gates, (0,)) if backwards else gates
    if mode == "LSTM":
        out, c, _, _ = lstm_steps(gates, *state, w)
        state = (out[-1], c)
    else:
        out = gru_steps(gates, *state, w, b)[0] if mode == "GRU" else rnn_steps(gates, *state, w, clipped=mode == "RNN_RELU")
        state = (out[-1],)
    return flip(out, (0,)) if backwards else out, state


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the parameters ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` (with
    `proj_size` also ``weight_hr_l0``) of each layer and direction, and the order of the work."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0 or proj_size >= hidden_size:
            raise ValueError("proj_size has to be a non-negative integer, smaller than hidden_size")
        if dropout > 0 and num_layers == 1:
            notices.dropout_of_one_layer(dropout, num_layers)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        made = {"device": device, "dtype": dtype}
        width, directions = proj_size or hidden_size, 2 if bidirectional else 1
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                rows = _GATES[mode] * hidden_size
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width * directions if layer else input_size)}
                shapes["weight_hh"] = (rows, width)
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(empty(*shape, **made)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    def reset_parameters(self) -> None:
        """Draw new values: uniform within ``1 / sqrt(hidden_size)``."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: parameters need not lie side by side here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        parts = [s for layer in range(self.num_layers) for s in self._suffixes(layer)]
        return [[self._parameters[k + s] for k in kinds if k + s in self._parameters] for s in parts]  # type: ignore[misc]

    def _layers(self, x: Tensor, sizes: list[int] | None, first: State) -> tuple[Tensor, State]:
        """`x`: (steps, batch, width), or the data of a packed sequence with its `sizes`. The output likewise, and the last
        states (layers * directions, batch, width)."""
        last: list[State] = []
        for layer in range(self.num_layers):
            sides = []
            for suffix in self._suffixes(layer):
                out, state = self._side(x, sizes, tuple(s[len(last)] for s in first), suffix)
                sides.append(out)
                last.append(state)
            x = sides[0] if len(sides) == 1 else cat(sides, -1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, True)
        return x, tuple(stack([s[i] for s in last], 0) for i in range(len(last[0])))

    def _side(self, x: Tensor, sizes: list[int] | None, state: State, suffix: str) -> tuple[Tensor, State]:
        """One direction of a layer: its output, as `x` lies, and its last state."""
        own, backwards = self._parameters, suffix.endswith("e")
        weights = own["weight_hh" + suffix], own.get("bias_hh" + suffix), own.get("weight_hr" + suffix)
        w, bias = own["weight_ih" + suffix], own.get("bias_ih" + suffix)
        if sizes is None and x.shape[0] and weights[2] is None:
            rows = x.transpose(0, 1) if self.batch_first else x  # as they lie: one product, whose result is turned
            both = bias is not None and self.mode != "GRU"
            gates = F.linear(rows, w, bias + weights[1] if both else bias)  # type: ignore[operator, arg-type]
            gates = gates.transpose(0, 1) if self.batch_first else gates
            return _whole(self.mode, gates, state, weights[0], weights[1], backwards)  # type: ignore[arg-type]
        gates = F.linear(x, w, bias)  # type: ignore[arg-type]
        each = list(gates.unbind(0) if sizes is None else gates.split(sizes, 0))
        outputs, state = (_scan_back if backwards else _scan)(_STEPS[self.mode], each, state, weights)
        return stack(outputs, 0) if sizes is None else cat(outputs, 0), state

    def _first(self, x: Tensor, batch: int, given: Any) -> State:
        """The state to begin with, (layers * directions, batch, width) each; zeros where none is given."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[: 2 if self.mode == "LSTM" else 1]
        if given is None:
            return tuple(x.new_zeros((count, batch, w)) for w in widths)
        state = tuple(given) if self.mode == "LSTM" else (given,)
        for s, w, name in zip(state, widths, ("hidden[0]", "hidden[1]"), strict=False):
            if tuple(s.shape) != (count, batch, w):
                label = name if self.mode == "LSTM" else "hidden"
                raise RuntimeError(f"Expected {label} size {(count, batch, w)}, got {list(s.shape)}")
        return state

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")
        single = input.ndim == 2
        if single:
            x = input.unsqueeze(1)
            hx = hx if hx is None else tuple(s.unsqueeze(1) for s in hx) if self.mode == "LSTM" else hx.unsqueeze(1)
        else:
            x = input.transpose(0, 1) if self.batch_first else input
        out, last = self._layers(x, None, self._first(x, x.shape[1], hx))
        if single:
            out, last = out.squeeze(1), tuple(s.squeeze(1) for s in last)
        elif self.batch_first:
            out = out.transpose(0, 1)
        return out, last if self.mode == "LSTM" else last[0]

    def _packed(self, input: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, order, back = input
        sizes = batch_sizes.tolist()
        if hx is not None and order is not None:
            hx = tuple(s.index_select(1, order) for s in hx) if self.mode == "LSTM" else hx.index_select(1, order)
        out, last = self._layers(data, sizes, self._first(data, sizes[0], hx))
        if back is not None:
            last = tuple(s.index_select(1, back) for s in last)
        return PackedSequence(out, batch_sizes, order, back), last if self.mode == "LSTM" else last[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        plain = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        return text + "".join(f", {k}={getattr(self, k)}" for k, v in plain.items() if getattr(self, k) != v)


class RNN(RNNBase):
    """``h = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)`` at each step (`nonlinearity` "relu" for relu)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); gates in the order input, forget, cell, output."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
                         device, dtype)  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014); gates in the order reset, update, new."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)


class RNNCellBase(Module):
    """What the cells share: the parameters and the text."""

    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, made = num_chunks * hidden_size, {"device": device, "dtype": dtype}
        self.weight_ih, self.weight_hh = Parameter(empty(rows, input_size, **made)), Parameter(empty(rows, hidden_size, **made))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new values: uniform within ``1 / sqrt(hidden_size)``."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, step: Any, input: Tensor, state: State) -> State:
        gates = F.linear(input, self.weight_ih, self.bias_ih)
        return step(gates, state, self.weight_hh, self.bias_hh, None)  # type: ignore[no-any-return]

    def _zeros(self, input: Tensor) -> Tensor:
        if input.ndim not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        return input.new_zeros((*input.shape[:-1], self.hidden_size))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias is True else f", bias={self.bias}")
        kind = getattr(self, "nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"


class RNNCell(RNNCellBase):
    """One step of `RNN`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        zeros = self._zeros(input)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        step = _STEPS[f"RNN_{self.nonlinearity.upper()}"]
        return self._step(step, input, (zeros if hx is None else hx,))[0]  # type: ignore[no-any-return]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: (h, c)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        zeros = self._zeros(input)
        return self._step(_lstm_step, input, (zeros, zeros) if hx is None else hx)  # type: ignore[return-value]


class GRUCell(RNNCellBase):
    """One step of `GRU`."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        zeros = self._zeros(input)
        return self._step(_gru_step, input, (zeros if hx is None else hx,))[0]  # type: ignore[no-any-return]
