"""Kernels as Triton source: golden text, every primitive and combine, valid Python, and Triton's own first stage."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fusewire.backends.gpu import scalar, stages
from fusewire.backends.gpu.kernel import SM90
from fusewire.backends.gpu.triton import Source, triton_source, triton_text
from fusewire.backends.gpu.ways import to_build
from fusewire.ir import dtypes, loops, sizes, work
from fusewire.ir.graph import Where
from fusewire.ir.loops import (
    Acc,
    Axis,
    Buffer,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    KernelError,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    ScalarParam,
    Scratch,
    Store,
)  # fmt: skip

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import pointwise

I, J, K, N, M = (sizes.symbol(s) for s in "ijknm")
F = dtypes.float32
HERE = Where("model.py", 7, "forward")


def chain() -> Kernel:
    """Pointwise over a dense matrix and a row, half types in and out."""
    h = dtypes.bfloat16
    body = (
        Load("a", "x", I * M + J), Compute("b", "cast", ("a",), F), Load("c", "bias", J), Param("p", "alpha", F),
        Compute("d", "fma", ("b", "p", "c"), F, HERE), Compute("e", "tanh", ("d",), F, HERE),
        Compute("g", "cast", ("e",), h, HERE),
        Store("o", I * M + J, "g"),
    )  # fmt: skip
    buffers = Buffer("x", h, N * M, "r"), Buffer("bias", F, M, "r"), Buffer("o", h, N * M, "w")
    return Kernel("chain", buffers, ("n", "m"), (ScalarParam("alpha", "float"),), (Axis("i", N), Axis("j", M)), body)


def softmax() -> Kernel:
    """Rows through a scratch row."""
    at = I * M + J
    row = (Axis("j", M),)
    body = (
        Reduce(row, (Load("a", "x", at),), (Acc("top", "maximum", "a", F),)),
        Reduce(row, (Load("a", "x", at), Compute("d", "sub", ("a", "top"), F, HERE), Compute("e", "exp", ("d",), F, HERE),
                     Store("row", J, "e")), (Acc("total", "add", "e", F),)),
        Loop(Axis("j", M), (Load("f", "row", J), Compute("q", "div", ("f", "total"), F, HERE), Store("o", at, "q"))),
    )  # fmt: skip
    buffers = Buffer("x", F, N * M, "r"), Buffer("o", F, N * M, "w")
    return Kernel("softmax", buffers, ("n", "m"), (), (Axis("i", N),), body, (), (Scratch("row", F, M),))


def gather() -> Kernel:
    """A bounds-checked row gather."""
    body = (
        Load("at", "index", I), Const("zero", 0, dtypes.int64), Index("n", N), Compute("low", "le", ("zero", "at"), dtypes.bool_),
        Compute("high", "lt", ("at", "n"), dtypes.bool_), Compute("ok", "and", ("low", "high"), dtypes.bool_), Check("ok", 0),
        LoadAt("v", "table", J, "at", 6), Store("o", I * 6 + J, "v"),
    )  # fmt: skip
    buffers = Buffer("table", F, N * 6, "r"), Buffer("index", dtypes.int64, 35, "r"), Buffer("o", F, 210, "w")
    error = KernelError("gather", IndexError, "index out of range")
    return Kernel("gather", buffers, ("n",), (), (Axis("i", 35), Axis("j", 6)), body, (error,))


def nested() -> Kernel:
    """A reduction inside a loop, and one over two axes."""
    inner = Reduce((Axis("k", 5),), (Load("b", "x", I * 60 + J * 5 + K),), (Acc("s", "add", "b", F),))
    body = (
        Loop(Axis("j", 12), (inner, Store("o", I * 12 + J, "s"))),
        Reduce((Axis("j", 12), Axis("k", 5)), (Load("c", "x", I * 60 + J * 5 + K),), (Acc("t", "maximum", "c", F),)),
        Store("p", I, "t"),
    )
    buffers = Buffer("x", F, 240, "r"), Buffer("o", F, 48, "w"), Buffer("p", F, 4, "w")
    return Kernel("nested", buffers, (), (), (Axis("i", 4),), body)


def combined(combine: str, dtype: dtypes.DType) -> Kernel:
    """One reduction of all of x."""
    body = (Reduce((Axis("i", N),), (Load("a", "x", I),), (Acc("s", combine, "a", dtype),)), Store("o", 0, "s"))
    return Kernel("k", (Buffer("x", dtype, N, "r"), Buffer("o", dtype, 1, "w")), ("n",), (), (), body)


def every_primitive() -> list[Kernel]:
    """A kernel for each primitive and legal dtype."""
    floats, ints = (dtypes.float32, dtypes.float64), dtypes.INTEGRAL
    out = []
    for prim, count in loops.PRIMITIVES.items():
        legal = floats if prim in ("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf") else (*floats, *ints)
        legal = ints if prim in ("and", "or", "xor", "not", "shl", "shr") else (dtypes.int64,) if prim == "philox" else legal
        for dtype in legal:
            operands = [dtypes.bool_, dtype, dtype] if prim == "select" else [dtype] * count
            result = dtypes.bool_ if prim in ("eq", "lt", "le") else dtype
            if prim != "cast":
                out.append(pointwise(prim, operands, result))
    out += [pointwise("cast", [a], b) for a in dtypes.ALL for b in dtypes.ALL]
    out += [pointwise("cast", [a], b) for byte in dtypes.BYTES for a, b in ((F, byte), (byte, F))]
    out += [
        pointwise(prim, [dtypes.bool_] * loops.PRIMITIVES[prim], dtypes.bool_)
        for prim in ("and", "or", "xor", "not", "eq", "add")
    ]
    return out


def every_combine() -> list[Kernel]:
    """A kernel for each combine and legal dtype."""
    bits = {"and", "or"}
    return [combined(c, d) for c in loops.COMBINES for d in dtypes.ALL if not d.is_half and not (c in bits and d.kind == "f")]


WHOLE = {"chain": chain, "softmax": softmax, "gather": gather, "nested": nested}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"triton_{name}.py.txt", triton_text([WHOLE[name]()]))


def test_every_primitive_has_a_rule() -> None:
    assert set(scalar.RULES) == set(loops.PRIMITIVES) - {"cast"}
    used = {h for k in (*every_primitive(), *every_combine()) for h in scalar.helpers_in(triton_source(k).text)}
    assert used == set(scalar.HELPERS)


@pytest.mark.parametrize("kernels", [every_primitive, every_combine], ids=["primitives", "combines"])
def test_every_source_is_python(kernels: Callable[[], list[Kernel]]) -> None:
    for k in kernels():
        source = triton_source(k)
        compile(source.text, k.name, "exec")
        assert list(source.signature)[: len(k.buffers)] == [f"{b.name}_ptr" for b in k.buffers]


def test_lines_of_the_user_are_in_the_source() -> None:
    assert "d = tl.fma(b, p, c)  # model.py:7" in triton_source(chain()).text


def test_names_that_python_has_taken() -> None:
    k = Kernel(
        "k", (Buffer("x", F, N, "r"), Buffer("o", F, N, "w")), ("n",), (), (Axis("i", N),),
        (Load("in", "x", I), Load("tl", "x", 0), Compute("x", "add", ("in", "tl"), F), Store("o", I, "x")),
    )  # fmt: skip
    text = triton_source(k).text
    compile(text, "k", "exec")
    assert "in =" not in text.replace("vin =", "") and "tl_1 = tl.load" in text


def to_ttir(source: Source) -> str:
    """Triton's first stage on a source, for sm_90; needs no GPU."""
    return str(stages.run(to_build(source), SM90, "ttir").asm["ttir"])


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
@pytest.mark.filterwarnings("ignore")
def test_triton_accepts_the_sources(request: pytest.FixtureRequest) -> None:
    """One of five; with --whole all."""
    each = 1 if request.config.getoption("--whole") else 5
    for k in (*(make() for make in WHOLE.values()), *(*every_primitive(), *every_combine())[::each]):
        assert "tt.func" in to_ttir(triton_source(k)), k.name


def test_bytes_moved_count_each_element_once() -> None:
    again = (Load("a", "x", I * 8 + J), Load("b", "x", I * 8 + J), Load("c", "row", J), Compute("d", "add", ("a", "c"), F))
    buffers = Buffer("x", F, 80, "r"), Buffer("row", F, 8, "r"), Buffer("o", F, 80, "w")
    k = Kernel("k", buffers, (), (), (Axis("i", 10), Axis("j", 8)), (*again, Store("o", I * 8 + J, "d")))
    assert work.traffic(k) == (4 * 88, 4 * 80)
