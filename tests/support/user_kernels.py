"""Kernels as users write them for Triton: from its tutorials and from libraries of fused layers. Launched by the tests."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

import fusewire as fw


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=i < n) + tl.load(y_ptr + i, mask=i < n), mask=i < n)


@triton.jit
def scale(x_ptr, n, factor, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + i, tl.load(x_ptr + i, mask=i < n) * factor, mask=i < n)


@triton.jit
def softmax(out_ptr, x_ptr, x_row, out_row, x_column, columns, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + i * x_column, mask=i < columns, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out_ptr + row * out_row + i, e / tl.sum(e, axis=0), mask=i < columns)


@triton.jit
def square(x):  # type: ignore[no-untyped-def]
    return x * x


@triton.jit
def cube(x):  # type: ignore[no-untyped-def]
    return x * x * x


@triton.jit
def mapped(x_ptr, out_ptr, n, FUNCTION: tl.constexpr, DTYPE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n).to(DTYPE)
    tl.store(out_ptr + i, FUNCTION(x), mask=i < n)


@triton.jit
def counted(x_ptr, bins_ptr, n, bias_ptr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    if bias_ptr is not None:
        x += tl.load(bias_ptr)
    tl.atomic_add(bins_ptr + x, 1, mask=i < n)


@triton.jit
def norm_forward(x_ptr, w_ptr, b_ptr, y_ptr, mean_ptr, rstd_ptr, row_stride, n, eps, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * row_stride + i, mask=i < n, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / n
    centred = tl.where(i < n, x - mean, 0.0)
    rstd = 1 / tl.sqrt(tl.sum(centred * centred, axis=0) / n + eps)
    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)
    w, b = tl.load(w_ptr + i, mask=i < n), tl.load(b_ptr + i, mask=i < n)
    tl.store(y_ptr + row * row_stride + i, centred * rstd * w + b, mask=i < n)


@triton.jit
def norm_backward(  # type: ignore[no-untyped-def]
    dx_ptr, dy_ptr, dw_ptr, db_ptr, x_ptr, w_ptr, mean_ptr, rstd_ptr, row_stride, n, BLOCK: tl.constexpr,
):  # fmt: skip
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * row_stride + i, mask=i < n, other=0.0)
    dy = tl.load(dy_ptr + row * row_stride + i, mask=i < n, other=0.0)
    w = tl.load(w_ptr + i, mask=i < n, other=0.0)
    mean, rstd = tl.load(mean_ptr + row), tl.load(rstd_ptr + row)
    normal = tl.where(i < n, (x - mean) * rstd, 0.0)
    wdy = w * dy
    c1, c2 = tl.sum(normal * wdy, axis=0) / n, tl.sum(wdy, axis=0) / n
    tl.store(dx_ptr + row * row_stride + i, (wdy - (normal * c1 + c2)) * rstd, mask=i < n)
    tl.atomic_add(dw_ptr + i, dy * normal, mask=i < n)
    tl.atomic_add(db_ptr + i, dy, mask=i < n)


class LayerNorm(fw.autograd.Function):
    """As Triton's tutorial has it."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        rows, n = x.reshape(-1, x.shape[-1]).shape
        y = fw.empty_like(x)
        mean, rstd = (fw.empty(rows, dtype=fw.float32, device=x.device) for _ in range(2))
        block = triton.next_power_of_2(n)
        norm_forward[(rows,)](x, weight, bias, y, mean, rstd, n, n, eps, BLOCK=block, num_warps=min(max(block // 256, 1), 8))
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.block = block
        return y

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, weight, mean, rstd = ctx.saved_tensors
        dy, n = dy.contiguous(), x.shape[-1]
        dx, dw, db = fw.empty_like(dy), fw.zeros_like(weight), fw.zeros_like(weight)
        norm_backward[(mean.shape[0],)](dx, dy, dw, db, x, weight, mean, rstd, n, n, BLOCK=ctx.block)
        return dx, dw, db, None


@triton.autotune(configs=[triton.Config({"BLOCK": 32}, num_warps=2)], key=["n"])
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def doubled(x_ptr, n, EVEN: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(x_ptr + i, tl.load(x_ptr + i) * 2)
    else:
        tl.store(x_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2, mask=i < n)


@triton.autotune(configs=[triton.Config({"BLOCK": n}, num_warps=4) for n in (16, 64)], key=["n"], restore_value=["x_ptr"])
@triton.jit
def tripled(x_ptr, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + i, tl.load(x_ptr + i, mask=i < n) * 3, mask=i < n)


@triton.jit
def told(x_ptr):  # type: ignore[no-untyped-def]
    tl.device_print("x", tl.load(x_ptr))


FACTOR = tl.constexpr(3)


@triton.jit
def by_factor(x_ptr, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.arange(0, BLOCK)
    tl.store(x_ptr + i, tl.load(x_ptr + i, mask=i < n) * FACTOR, mask=i < n)


@triton.jit
def swapped(a_ptr, b_ptr, c_ptr, n):  # type: ignore[no-untyped-def]
    p, q = a_ptr, b_ptr
    for _ in range(n):
        tl.store(p, tl.load(c_ptr))
        p, q = q, p


@triton.jit
def walked(a_ptr, b_ptr, c_ptr, n):  # type: ignore[no-untyped-def]
    p, q, left = a_ptr, b_ptr, n
    while left > 0:
        if tl.load(q) > 0:
            q += 1
        else:
            q = c_ptr
        p += tl.load(c_ptr).to(tl.int32)
        left -= 1
    tl.atomic_add(p, 1)
    tl.store(q, 1)


@triton.jit
def blocked(a_ptr, b_ptr, c_ptr, n):  # type: ignore[no-untyped-def]
    p = tl.make_block_ptr(a_ptr, (n, n), (n, 1), (0, 0), (16, 16), (1, 0))
    q = tl.make_block_ptr(b_ptr, (n, n), (n, 1), (0, 0), (16, 16), (1, 0))
    for _ in range(0, n, 16):
        tl.store(q, tl.load(p, boundary_check=(0, 1)) + tl.load(c_ptr), boundary_check=(0, 1))
        p, q = tl.advance(p, (0, 16)), tl.advance(q, (0, 16))


@triton.jit(noinline=True)
def apart(p, x):  # type: ignore[no-untyped-def]
    tl.store(p, x)


@triton.jit
def calling(a_ptr, b_ptr, c_ptr, n):  # type: ignore[no-untyped-def]
    apart(a_ptr, tl.load(b_ptr))


@triton.jit
def by_address(a_ptr, b_ptr, c_ptr, n):  # type: ignore[no-untyped-def]
    tl.store(tl.load(c_ptr).to(tl.int64).to(tl.pointer_type(tl.float32), bitcast=True), 1.0)


@triton.jit
def one_of(a_ptr, b_ptr, n):  # type: ignore[no-untyped-def]
    if n == 1:
        tl.store(a_ptr, 5.0)
    else:
        tl.store(b_ptr, 7.0)
