"""Ready parametrisations: weight norm (Salimans and Kingma 2016), spectral norm (Miyato et al. 2018), orthogonal matrices."""

from __future__ import annotations

from typing import Any

from ...eager.creation import eye, zeros_like
from ...eager.factors import householder_product
from ...eager.generated import cat
from ...eager.limits import finfo
from ...eager.linalg import matrix_exp, qr, solve
from ...eager.modes import no_grad
from ...eager.reducing import norm
from ...eager.tensor import Tensor
from .. import functional as F
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The 2-norm over all dimensions but `dim` (None: over all), kept as 1s."""
    if dim is None or dim == -1:
        return norm(v)  # type: ignore[no-any-return]
    return norm(v, 2, [d for d in range(v.ndim) if d != dim % v.ndim], True)  # type: ignore[no-any-return]


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(length, direction) of a weight."""
        return norm_except(weight, self.dim), weight.detach().clone()


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be length times direction, each a parameter; `dim`: the dimension with lengths of its own."""
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.n_power_iterations, self.eps = dim, n_power_iterations, eps
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            self.register_buffer("_u", F.normalize(matrix.new_empty((matrix.shape[0],)).normal_(0, 1), dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(matrix.new_empty((matrix.shape[1],)).normal_(0, 1), dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        first = weight.transpose(0, self.dim) if self.dim else weight
        return first.reshape(first.shape[0], -1)

    def _iterate(self, matrix: Tensor, count: int) -> None:
        with no_grad():
            for _ in range(count):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.t() @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        return weight / (self._u.clone() * (matrix @ self._v.clone())).sum()  # type: ignore[no-any-return]

    def right_inverse(self, value: Tensor) -> Tensor:
        """The weight itself."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, found by power iteration."""
    weight: Any = getattr(module, name)
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


class _Orthogonal(Module):
    """Orthogonal matrices from any: by the matrix exponential or Cayley's map of a skew matrix, or Householder's reflections;
    times `base`, where there is one, so that training begins at the weight's own nearest orthogonal matrix."""

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map, self.has_base = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        rows, columns = x.shape[-2:]
        q = self._reflected(x) if self.orthogonal_map == "householder" else self._turned(x.tril(), rows, columns)
        if self.has_base:
            q = self.base @ q
        return q.mT if wide else q  # type: ignore[no-any-return]

    def _turned(self, x: Tensor, rows: Any, columns: Any) -> Any:
        """By a skew matrix, of which `x` is the lower triangle."""
        if rows != columns:
            x = cat([x, x.new_zeros((*x.shape[:-2], rows, rows - columns))], -1)
        skew = x - x.mH
        if self.orthogonal_map == "matrix_exp":
            q = matrix_exp(skew)
        else:
            one = eye(int(rows), dtype=x.dtype, device=x.device)
            q = solve(one - skew * 0.5, one + skew * 0.5)
        return q[..., :columns] if rows != columns else q

    def _reflected(self, x: Tensor) -> Any:
        """By reflections whose vectors are the columns below the diagonal, which holds the signs."""
        below = x.tril(-1)
        tau = 2.0 / (1.0 + (below * below).sum(-2))
        return householder_product(below, tau) * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What `forward` makes `weight` of (its nearest orthogonal matrix, where it is none)."""
        if weight.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape "
                             f"{weight.shape}.")  # fmt: skip
        if not self.has_base:
            raise NotImplementedError("It is not possible to assign to the matrix exponential or the Cayley parametrizations "
                                      "when use_trivialization=False.")  # fmt: skip
        q = weight.detach()
        q = q.mT if q.shape[-2] < q.shape[-1] else q
        rows, columns = q.shape[-2:]
        if rows != columns:
            q = cat([q, q.new_empty((*q.shape[:-2], rows, rows - columns)).normal_()], -1)
        self.base = _nearest(q)
        start = zeros_like(weight.detach())
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start


def _nearest(x: Tensor) -> Tensor:
    """`x`, where it is orthogonal, else the factor Q of it, with the signs that keep its columns' directions."""
    size = int(x.shape[-1])
    if bool(((x.mT @ x - eye(size, dtype=x.dtype, device=x.device)).abs() < 10 * size * finfo(x.dtype).eps).all()):
        return x.clone()
    q, r = qr(x)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)  # type: ignore[no-any-return]


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Let a matrix be orthogonal. `orthogonal_map`: "matrix_exp" (of square ones by default), "cayley" or "householder"."""
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1] or weight.is_complex()
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
