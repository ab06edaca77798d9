"""What the GPU back end runs by templates of its own: op -> Claim. Importing this loads no code generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.graph import Node
from ...ir.op import Op
from ...ir.ops.attention import attention, attention_backward
from ...ir.ops.convolution import conv_input, conv_weight, convolution
from ...ir.ops.flex import flex_attention, flex_attention_backward
from ...ir.ops.launches import launched
from ...ir.ops.linalg import matmul
from ...ir.ops.ordering import argsort, topk_index
from ...ir.ops.searching import searchsorted
from ...ir.plan import BufferView, KernelStep, RoutineStep, Step
from ...ir.schedule_prepare import Claim, Claims


def _product(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .gemm import claim

    return claim(node, args, results)


def _epilogue(step: RoutineStep, reader: KernelStep, lone: bool) -> RoutineStep | str:
    from .epilogue import join

    return join(step, reader, lone)


def _prologue(step: RoutineStep, operand: int, maker: KernelStep) -> RoutineStep | str:
    from .prologue import join

    return join(step, operand, maker)


def _takes_attention(node: Node) -> bool:
    from .attention import accepts

    return accepts(node)


def _attention(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .attention import claim

    return claim(node, args, results)


def _takes_flex(node: Node) -> bool:
    from .flex import accepts

    return accepts(node)


def _flex(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .flex import claim

    return claim(node, args, results)


def _takes_convolution(node: Node) -> bool:
    from .conv import accepts
    from .depthwise import is_depthwise

    return not is_depthwise(node) and accepts(node)


def _by_places(node: Node) -> Callable[..., Any] | None:
    from . import depthwise

    forms: dict[Op, Callable[..., Any]] = {
        convolution: depthwise.forward, conv_input: depthwise.by_input, conv_weight: depthwise.by_weight,
    }  # fmt: skip
    return forms[node.op] if depthwise.is_depthwise(node) else None


def _convolution(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .conv import claim

    return claim(node, args, results)


def _takes_launch(node: Node) -> bool:
    from .user_functions import accepts

    return accepts(node)


def _launch(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .user_functions import claim

    return claim(node, args, results)


def _over_launch(node: Node) -> tuple[int, ...]:
    from .user_functions import over

    return over(node)


def _takes_order(node: Node) -> bool:
    from .sorting import accepts

    return accepts(node)


def _order(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .sorting import claim

    return claim(node, args, results)


def _takes_search(node: Node) -> bool:
    from .searching import accepts

    return accepts(node)


def _search(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    from .searching import claim

    return claim(node, args, results)


CLAIMS: Claims = {
    argsort: Claim(_takes_order, _order),
    convolution: Claim(_takes_convolution, _convolution, _epilogue, instead=_by_places),
    conv_input: Claim(_takes_convolution, _convolution, _epilogue, instead=_by_places),
    conv_weight: Claim(_takes_convolution, _convolution, _epilogue, instead=_by_places),
    attention: Claim(_takes_attention, _attention),
    attention_backward: Claim(_takes_attention, _attention),
    flex_attention: Claim(_takes_flex, _flex),
    flex_attention_backward: Claim(_takes_flex, _flex),
    launched: Claim(_takes_launch, _launch, over=_over_launch),
    topk_index: Claim(_takes_order, _order),
    searchsorted: Claim(_takes_search, _search),
    matmul: Claim(step=_product, finish=_epilogue, begin=_prologue, half=True),
}
