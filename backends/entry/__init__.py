"""The native entry: one table-driven routine that binds, guards, runs plans and builds results for every compiled function.

    configure(tensor_cls, storage_cls, make_view=..., make_meta=...)    once, before anything else
    refusal() -> str | None                                             why it cannot serve in this process
    configure_device(storage_cls, watched_cls)                          once, before the first plan of a GPU
    Variant(plan, code, guards, sources, function, ...)                 one plan under one set of guards
    Entry(function, dispatcher)                                         `.function` is the function to hand out; add, clear
    routine(plan, code, inputs, output_metas, otherwise)                a plan as a function of Tensors

Knows neither Tensor nor tracer: classes and callbacks come in as arguments. Importing it loads no llvmlite.
"""

from .process import configure, configure_device, warm
from .routine import routine
from .selftest import refusal
from .table import Entry, Variant, parameters

__all__ = ["Entry", "Variant", "configure", "configure_device", "parameters", "refusal", "routine", "warm"]
