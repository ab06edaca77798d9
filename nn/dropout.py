"""The rarer dropout layers; `Dropout` and `Dropout2d` are in `layers.py`, the computation in `nn.functional`."""

# functions of F that load at first use have no types there
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from collections.abc import Callable

from ..eager.tensor import Tensor
from . import functional as F
from .layers import _DropoutNd
from .ranks import ranked


class _Channels(_DropoutNd):
    _function: Callable[..., Tensor]

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.p, self.training, self.inplace)


Dropout1d, Dropout3d = ranked(
    _Channels, "Dropout{}", "In training, zeroes whole channels of {shape} with probability `p` and scales the others.",
    "dropout{}d", (1, 3),
)  # fmt: skip


class AlphaDropout(_DropoutNd):
    """Dropout to selu's lowest value, which keeps mean 0 and variance 1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)
