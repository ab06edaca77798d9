"""Functions and methods whose modules load at first use, so that `import fusewire` stays cheap. Computes nothing.

To add one, append its name to the row of its module in `FUNCTIONS`, and where it is a method too in `METHODS`; names there that
end in "_" and that the module lacks store the plain function's result in self.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from .inplace import store_checked
from .pure import pure

#: Module of `eager` -> functions of the top namespace.
FUNCTIONS: dict[str, str] = {
    "searching": "cummax cummin logcumsumexp diff nanmedian nanmean nansum mode quantile nanquantile unique unique_consecutive "
                 "searchsorted bucketize histc histogram msort isin std_mean aminmax count_nonzero trapezoid trapz "
                 "cumulative_trapezoid cov corrcoef renorm",
}  # fmt: skip
#: Module of `eager` -> methods of Tensor.
METHODS: dict[str, str] = {
    "searching": "cummax cummin logcumsumexp diff nanmedian nanmean nansum mode quantile nanquantile unique unique_consecutive "
                 "histc histogram msort aminmax count_nonzero cov corrcoef renorm renorm_",
}  # fmt: skip


def find(name: str) -> Callable[..., Any] | None:
    """The function `name` of the top namespace; None where no row has it."""
    module = _MODULE_OF.get(name)
    return None if module is None else _load(module, name)


def names() -> list[str]:
    """What `find` finds."""
    return list(_MODULE_OF)


def _rows(table: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, module) for module, row in table.items() for name in row.split())


_MODULE_OF = dict(_rows(FUNCTIONS))


def _load(module: str, name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)  # type: ignore[no-any-return]


def _method(module: str, name: str) -> Callable[..., Any]:
    @pure
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _load(module, name)(self, *args, **kwargs)

    @pure
    def inplace(self: Any, *args: Any, **kwargs: Any) -> Any:
        return store_checked(self, _load(module, name[:-1])(self, *args, **kwargs))

    made = inplace if name.endswith("_") else method
    made.__name__, made.__qualname__ = name, f"Tensor.{name}"
    made.__doc__ = f"`{name[:-1]}`, stored in self." if name.endswith("_") else f"As the function `fusewire.{name}`."
    return made


class LaterMethods:
    """The methods of `METHODS`; no slots of its own."""

    __slots__ = ()


for _name, _module in _rows(METHODS):
    setattr(LaterMethods, _name, _method(_module, _name))
