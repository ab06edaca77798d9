"""What the CPU back end runs by routines of its own: op -> Claim. Importing this loads no code generation."""

from __future__ import annotations

from typing import Any

from ...ir.graph import Node
from ...ir.ops.conv_steps import conv_fold, conv_rows, conv_taps
from ...ir.ops.linalg import matmul
from ...ir.ops.pooling import max_pool, max_pool_index
from ...ir.plan import BufferView, KernelStep, RoutineStep, Step
from ...ir.schedule_prepare import Claim, Claims
from . import attention_claim, recurrent_claim


def _product(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .product import claim

    return claim(node, args, results)


def _finish(step: RoutineStep, reader: KernelStep, lone: bool) -> RoutineStep | str:
    from .product_finish import finish

    return finish(step, reader, lone)


def _takes_convolution(node: Node) -> bool:
    from .conv import accepts

    return accepts(node)


def _convolution(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .conv import step

    return step(node, args, results)


def _takes_fold(node: Node) -> bool:
    from .window_fold import accepts

    return accepts(node)


def _fold(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .window_fold import step

    return step(node, args, results)


def _takes_pool(node: Node) -> bool:
    from .window_pool import accepts

    return accepts(node)


def _pool(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .window_pool import step

    return step(node, args, results)


CLAIMS: Claims = {
    **attention_claim.CLAIMS,
    **recurrent_claim.CLAIMS,
    matmul: Claim(step=_product, finish=_finish),
    conv_fold: Claim(_takes_fold, _fold),
    max_pool: Claim(_takes_pool, _pool),
    max_pool_index: Claim(_takes_pool, _pool),
    conv_rows: Claim(_takes_convolution, _convolution),
    conv_taps: Claim(_takes_convolution, _convolution),
}
