"""What is known of a kind of eager call: the same op on operands described by the same metas, with the same attributes.

The first call of a kind runs through all checks of the executor, which enters it here where nothing about it is special: no cast,
no half type, one result. All that the checks found out follows from the metas, so that later calls ask nothing. Runs no op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.op import Extern, Gemm, Op, Scalar
from ..ir.promote import representable
from . import tape
from .factory import alias, storage_of, view_of
from .tape import OpNode, keep

if TYPE_CHECKING:
    from ..runtime.meta import Meta
    from .tensor import Tensor

#: kinds remembered
MOST = 4096
#: (op, Meta of each operand or class of a number, names of the attributes, their values) -> its plan
PLANS: dict[tuple[Any, ...], Plan] = {}
#: (Meta of the base, Meta of the view, its offset) -> a plan that makes it, op and attributes
VIEWS: dict[tuple[Meta, Meta, int], tuple[Plan, Op, dict[str, Any]]] = {}


class Plan:
    """`meta`: the result's, where it follows from the kind (else None: NumPy's result is asked). `ufunc`: the kernel is a NumPy
    ufunc or a product, whose result is always fresh. `view`: of a result that is a view, its offset from its base. `track`: an
    operand requires grad and the op has a rule; then `saves` has for each operand and result what the tape keeps (None: the
    value itself). `wait`: small calls until compiled code serves instead of NumPy (0: never); `native`: that code (False: there
    is none), made for the knobs' `state`. `rules`, `rules_state`: the same of its gradient rule (`hot.rule`). `wants`: operands
    that require grad. `weak`: a number is among the operands, `absent`: None is. `held`: between which an int among integral
    operands is as it stands; others wrap around or are refused."""

    __slots__ = (
        "absent", "graded", "held", "inputs", "meta", "native", "outputs", "rules", "rules_state", "saves", "state", "track",
        "ufunc", "view", "wait", "wants", "weak",
    )  # fmt: skip

    meta: Meta | None
    graded: Meta
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    saves: tuple[Any, ...]
    track: bool
    ufunc: bool
    view: int | None
    wait: int
    native: Any
    rules: dict[Any, Any]
    rules_state: Any
    wants: tuple[bool, ...]
    state: Any
    weak: bool
    absent: bool
    held: tuple[int, int] | None


def forget() -> None:
    """Forget all kinds, and with them their compiled code."""
    PLANS.clear()
    VIEWS.clear()


def remember(kinds: tuple[Any, ...], operands: tuple[Any, ...], attrs: dict[str, Any], out: Tensor, wait: int) -> None:
    """Enter a kind whose first call gave `out`."""
    op: Op = kinds[0]
    if op.binds or (type(op.lowering) is Extern and op.effects.aliases is None and op.grad is not None):
        return
    plan = Plan()
    plan.ufunc = type(op.eager) is np.ufunc or type(op.lowering) is Gemm
    plan.meta = out.meta.with_grad(False) if plan.ufunc or type(op.lowering) is Scalar else None
    plan.graded = out.meta.with_grad(True) if out.meta.dtype.is_inexact else out.meta
    plan.wait, plan.native, plan.state, plan.view = wait, None, None, None
    plan.rules, plan.rules_state = {}, None
    plan.absent = any(x is None for x in operands)
    plan.held = held(op, operands) if any(type(x) is int for x in operands) else None
    plan.weak = any(isinstance(k, type) for k in kinds[1 : 1 + len(operands)])
    metas = [None if isinstance(k, type) else k for k in kinds[1 : 1 + len(operands)]]
    plan.wants = tuple([m is not None and m.requires_grad for m in metas])
    plan.track = op.grad is not None and any(plan.wants)
    if op.effects.aliases is not None:
        base = operands[op.effects.aliases]
        if out._storage is None or out._storage is not base._storage or not out._array.size:  # type: ignore[union-attr]
            return
        plan.meta, plan.view = out.meta.with_grad(False), (out._offset or 0) - (base._offset or 0)
    if plan.track:
        if not out.meta.dtype.is_inexact:
            return
        plan.inputs = tuple([None if m is None else m.type for m in metas])
        plan.outputs = (out.meta.type,)
        node = tape.OpNode(op, attrs, len(operands))
        node.types, node.results = plan.inputs, plan.outputs
        node.edges = tuple([node if m is not None and m.requires_grad else None for m in metas])
        read = tape.read_by_rule(op, attrs, operands, node)
        every = (*plan.inputs, *plan.outputs)
        plan.saves = tuple([None if t is None or i in read else tape.Unsaved(t) for i, t in enumerate(every)])
    if len(PLANS) > MOST:
        forget()
    PLANS[kinds] = plan
    if plan.view is not None and len(operands) == 1 and (plan.track or not any(plan.wants)):  # detach makes no view of its own
        VIEWS[metas[0], plan.meta, plan.view] = plan, op, attrs  # type: ignore[index]


def held(op: Op, operands: tuple[Any, ...]) -> tuple[int, int] | None:
    """The least and the greatest int that the integral dtype of the promoted operands holds; None where they have no such dtype,
    or the ints among them do not lie between."""
    rule = op.promote
    if rule is not None and rule.operands is not None:
        operands = tuple([operands[i] for i in rule.operands if i < len(operands)])
    dtypes = {x.meta.dtype for x in operands if hasattr(x, "meta")}
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    if dtype.kind not in "ui":
        return None
    low, high = representable(dtype)
    low = 0 if dtype.kind == "u" else low  # minus its numbers wrap around
    return (low, high) if all(low <= x <= high for x in operands if type(x) is int) else None


def view(plan: Plan, base: Any, array: Any) -> Any:
    """The Tensor on `array`, a window on the memory of `base`."""
    return view_of(array, plan.meta, base, plan.view)  # type: ignore[arg-type]


def record(plan: Plan, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], out: Any) -> Any:
    """As `tape.record`, for a call of this kind, whose fresh result `out` is; returns it."""
    # edges first: asking for one may record a view again, which must come before its reader
    edges = tuple([tape.edge_of(x) if w else None for x, w in zip(operands, plan.wants)])  # noqa: B905
    node = OpNode(op, attrs, len(operands))
    node.edges, node.plan = edges, plan
    node.types, node.results = plan.inputs, plan.outputs
    saved: list[Any] = []
    for x, kept, kind in zip(operands, plan.saves, plan.inputs):  # noqa: B905  (`saves` is longer)
        saved.append(kept if kept is not None else x if kind is None else keep(x))
    kept = plan.saves[-1]
    saved.append(kept if kept is not None else keep(alias(out)))
    node.saved = tuple(saved)
    out.meta = plan.graded
    out._node = node
    if plan.view is not None:
        node.base = operands[op.effects.aliases]  # type: ignore[index]
        node.version = storage_of(node.base).version
    return out
