"""Tensor maps of a program's launches: 128 bytes each, written again when the address that they describe has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir import sizes
from ...runtime.gpu.driver import Driver
from .kernel import TensorMap


@dataclass(frozen=True, slots=True)
class Made:
    """A map for given sizes; its tensor begins at the address in slot number `slot`."""

    map: TensorMap
    slot: int
    values: Mapping[str, int]

    def write(self, driver: Driver, target: int, address: int) -> None:
        """Describe the tensor at `address` in the 128 bytes at `target`."""
        m = self.map
        shape = tuple(int(sizes.evaluate(n, self.values)) for n in m.shape)
        strides = tuple(int(sizes.evaluate(n, self.values)) * m.itemsize for n in m.strides)
        driver.tensor_map(target, address, m.element, shape, strides, m.box, m.swizzle)
