"""Our own matrix product: a blocked driver around the tiles of `gemm_tile`, generic over sizes, strides and batch dimensions.

One routine for each dtype, with the ABI of a kernel, compiled once and kept on disk. What packs A and B is a parameter, so
that a convolution is the same driver with packings of its own. Knows no plan: `runtime.blas` says which words a step passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir import dtypes
from ...ir.lazyclass import dataclass
from .conv_lines import Lines
from .gemm_pack import pack_texts, word
from .gemm_tile import ROW_STEP, Tile, add, at, branch, least, mul, rows_name, rows_text, sub, tile, when
from .kinds import Target
from .writer import Loop, Writer

#: words of `sizes`; behind them come, for each batch dimension, its size and the strides of A, B and C along it (elements).
#: `finish`: number of the word with the address of the epilogue, or 0; `given`: how many pointers stand before that of C
WORDS = ("m", "n", "k", "a_row", "a_col", "b_row", "b_col", "c_row", "dims", "total", "finish", "given")
M, N, K, B_ROW, B_COL, C_ROW, DIMS, TOTAL, FINISH, GIVEN, BATCH = 0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12
#: words behind those of one batch dimension where A is read as it lies (see `conv_lines.Lines`)
LINE, WHOLE = 16, 17
#: steps of k in a block of B: what one panel of A holds in the first cache
DEPTH_BYTES = 1536
#: bytes of a block of B, which stays in the second cache
BLOCK_BYTES = 640 * 1024
#: rows up to which B is read where it lies: packing it would take longer than what it saves
DIRECT_ROWS = 28
#: words at the start of scratch
HEAD_WORDS = 64


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a product is cut: `depth` steps of k, `width` columns at a time (a whole number of tiles)."""

    depth: int
    width: int


def blocks(t: Tile) -> Blocks:
    """The blocks of tile `t`."""
    size = t.dtype.itemsize
    depth = DEPTH_BYTES // size
    return Blocks(depth, BLOCK_BYTES // size // depth // t.columns * t.columns)


def scratch_bytes(t: Tile, n: int | None = None, k: int | None = None) -> int:
    """Bytes of scratch that each thread needs for a product with `n` columns and inner size `k` (None: any)."""
    b, size = blocks(t), t.dtype.itemsize
    depth = b.depth if k is None else min(b.depth, max(k, 1))
    width = b.width if n is None else min(b.width, -(-n // t.columns) * t.columns)
    return _block_at(t) + size * (depth * width + t.lanes * t.columns)


def _block_at(t: Tile) -> int:
    """Where in scratch, behind the words and one panel of A, the block of B lies (bytes)."""
    return 8 * HEAD_WORDS + t.dtype.itemsize * t.height * (blocks(t).depth + t.lanes)


def routine_text(t: Tile, name: str, pack_a: str = "", pack_b: str = "", more: str = "", lines: Lines | None = None) -> str:
    """The LLVM module with routine `name`. `pack_a`, `pack_b`: names of functions (heads `PACK_A_HEAD`, `PACK_B_HEAD`) whose
    text, and declarations of what they use, are in `more`; '': those of a plain matrix. `lines`: how A is read where it
    lies, where columns are few."""
    heights = range(ROW_STEP, t.rows + 1, ROW_STEP)
    packs = lines is None or lines.few is not None
    writers = [rows_text(t, r) for r in heights if packs] + pack_texts(t)
    writers += [lines.text(t, r) for r in heights] if lines else []
    writers += [_routine(t, name), _matrix(t, pack_b), _panels(t, pack_a, lines)]
    declared: dict[str, str] = {}
    for w in writers:
        declared.update(w.declared)
    head = [text for name_, text in sorted(declared.items()) if f"@{name_}(" not in more]
    return "\n".join([*head, "", "\n\n".join(w.text() for w in writers), more, ""])


def text(words: Sequence[str]) -> str:
    """The module of the routine for words such as ("f32", "64"): dtype and bytes of a vector."""
    dtype, vector_bytes = words
    t = tile(dtypes.BY_NAME[dtype], Target(int(vector_bytes), True))
    if t is None:
        raise ValueError(f"no tiles of {dtype} with vectors of {vector_bytes} bytes")
    return routine_text(t, "routine")


# ---- one thread's part ---------------------------------------------------------------------------------------------
def _routine(t: Tile, name: str) -> Writer:
    """``name(args, sizes, scalars, scratch, thread, threads)``: this thread's part of every product of the batch: whole
    products where their number shares out evenly, else a rectangle of each."""
    head = f"define i32 @{name}(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %thread, i64 %threads)"
    w = Writer(head, ["%args", "%sizes", "%scalars", "%scratch", "%thread", "%threads"])
    m, n, total = word(w, M), word(w, N), word(w, TOTAL)
    down, across = _grid(w, t, m, n)
    whole = w.let(f"icmp eq i64 {w.let(f'urem i64 {total}, %threads')}, 0")
    many = w.let(f"icmp sge i64 {total}, {mul(w, '%threads', '4')}")
    whole = w.let(f"or i1 {whole}, {many}")

    def pick(a: str, b: str) -> str:
        return w.let(f"select i1 {whole}, i64 {a}, i64 {b}")

    i, j = w.let(f"udiv i64 %thread, {across}"), w.let(f"urem i64 %thread, {across}")
    first, last = (pick(_share(w, total, x, "%threads"), y) for x, y in (("%thread", "0"), (add(w, "%thread", "1"), total)))
    m0, m1 = (pick(y, _share(w, m, x, down)) for x, y in ((i, "0"), (add(w, i, "1"), m)))
    tiles = w.let(f"udiv i64 {add(w, n, str(t.columns - 1))}, {t.columns}")
    n0, n1 = (
        pick(y, least(w, n, mul(w, _share(w, tiles, x, across), str(t.columns)))) for x, y in ((j, "0"), (add(w, j, "1"), n))
    )
    item = w.open_loop(first, last, 1)
    a, b, c = _matrices(w, t, item)
    w.do(
        f"call void @matrix_{t.dtype.short}(ptr {a}, ptr {b}, ptr {c}, ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, "
        f"i64 {item.index}, i64 {m0}, i64 {m1}, i64 {n0}, i64 {n1})"
    )
    w.close_loop(item)
    w.do("ret i32 0")
    return w


def _share(w: Writer, count: str, index: str, parts: str) -> str:
    """Where part `index` of `parts` equal ones begins."""
    return w.let(f"udiv i64 {mul(w, count, index)}, {parts}")


def _grid(w: Writer, t: Tile, m: str, n: str) -> tuple[str, str]:
    """(threads along the rows, along the columns) such that least is packed twice: m * across + n * down."""
    loop = w.open_loop("1", add(w, "%threads", "1"), 1, [("i64", "1"), ("i64", str((1 << 62) - 1))])
    down, best = loop.carried
    across = w.let(f"udiv i64 %threads, {loop.index}")
    cost = add(w, mul(w, m, across), mul(w, n, loop.index))
    fits = w.let(f"icmp eq i64 {mul(w, across, loop.index)}, %threads")
    better = w.let(f"and i1 {fits}, {w.let(f'icmp slt i64 {cost}, {best}')}")
    down, _ = w.close_loop(loop, [w.let(f"select i1 {better}, i64 {x}, i64 {y}") for x, y in ((loop.index, down), (cost, best))])
    return down, w.let(f"udiv i64 %threads, {down}")


def _matrices(w: Writer, t: Tile, item: Loop) -> list[str]:
    """Where A, B and C of product number `item` of the batch begin; the last batch dimension runs fastest."""
    dims = word(w, DIMS)
    d = w.open_loop("0", dims, 1, [("i64", item.index), *[("i64", "0")] * 3])
    left, *offsets = d.carried
    row = w.let(f"getelementptr i64, ptr %sizes, i64 {add(w, mul(w, sub(w, sub(w, dims, '1'), d.index), '4'), str(BATCH))}")
    size = word(w, 0, row)
    index = w.let(f"urem i64 {left}, {size}")
    moved = [add(w, offsets[x], mul(w, index, word(w, x + 1, row))) for x in range(3)]
    offsets = w.close_loop(d, [w.let(f"udiv i64 {left}, {size}"), *moved])[1:]
    numbers = "0", "1", add(w, word(w, GIVEN), "2")
    starts = [w.let(f"load ptr, ptr {w.let(f'getelementptr ptr, ptr %args, i64 {x}')}, align 8") for x in numbers]
    return [at(w, t, start, offset) for start, offset in zip(starts, offsets, strict=True)]


# ---- one rectangle of one product ----------------------------------------------------------------------------------
_MATRIX = (
    "ptr %a, ptr %b, ptr %c, ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %batch, i64 %m0, i64 %m1, i64 %n0, "
    "i64 %n1"
)
_PANELS = (
    "ptr %a, ptr %b, ptr %c, ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %batch, i64 %m0, i64 %m1, i64 %j0, i64 %nc, "
    "i64 %k0, i64 %kc, i64 %bk, i64 %bj, i1 %last"
)


def _names(head: str) -> list[str]:
    return [x.split()[-1] for x in head.split(",")]


def _cut(w: Writer, length: str, most: int, unit: int) -> tuple[str, str]:
    """(number, length) of the pieces when `length` is cut into as few equal ones of at most `most` as will do; at least one.
    Their length is a multiple of `unit`, at least one unit; the last piece may be shorter."""
    pieces = w.let(f"udiv i64 {add(w, length, str(most - 1))}, {most}")
    pieces = w.call("i64", "llvm.smax.i64", f"i64 {pieces}", "i64 1")
    piece = w.let(f"udiv i64 {add(w, length, sub(w, pieces, '1'))}, {pieces}")
    units = w.let(f"udiv i64 {add(w, piece, str(unit - 1))}, {unit}")
    return pieces, mul(w, w.call("i64", "llvm.smax.i64", f"i64 {units}", "i64 1"), str(unit))


def _matrix(t: Tile, pack_b: str) -> Writer:
    """C[m0:m1, n0:n1] of one product, block of columns by block of columns, each over blocks of k."""
    w = Writer(f"define internal void @matrix_{t.dtype.short}({_MATRIX})", _names(_MATRIX))
    b = blocks(t)
    rows, columns, k = sub(w, "%m1", "%m0"), sub(w, "%n1", "%n0"), word(w, K)
    empty = w.let(f"or i1 {w.let(f'icmp sle i64 {rows}, 0')}, {w.let(f'icmp sle i64 {columns}, 0')}")
    with when(w, empty):
        w.do("ret void")
        w.label(w.fresh("dead"))
    depths, depth = _cut(w, k, b.depth, 1)
    widths, width = _cut(w, columns, b.width, t.columns)
    own = w.let(f"getelementptr i8, ptr %scratch, i64 {_block_at(t)}")
    direct = "false" if pack_b else _direct(w, rows)
    j = w.open_loop("0", widths, 1)
    j0 = add(w, "%n0", mul(w, j.index, width))
    nc = least(w, sub(w, "%n1", j0), width)
    p = w.open_loop("0", depths, 1)
    k0 = mul(w, p.index, depth)
    kc = least(w, sub(w, k, k0), depth)
    plain = at(w, t, at(w, t, "%b", mul(w, k0, word(w, B_ROW))), j0)
    join = w.fresh("join")
    with branch(w, direct, join):
        pass
    w.do(
        f"call void @{pack_b or f'pack_b_{t.dtype.short}'}(ptr %b, ptr %args, ptr %sizes, i64 %batch, i64 {k0}, i64 {kc}, "
        f"i64 {j0}, i64 {nc}, ptr {own})"
    )
    w.do(f"br label %{join}")
    w.label(join)
    block = w.let(f"select i1 {direct}, ptr {plain}, ptr {own}")
    bk = w.let(f"select i1 {direct}, i64 {word(w, B_ROW)}, i64 {t.columns}")
    bj = w.let(f"select i1 {direct}, i64 1, i64 {kc}")
    last = w.let(f"icmp eq i64 {p.index}, {sub(w, depths, '1')}")
    w.do(
        f"call void @panels_{t.dtype.short}(ptr %a, ptr {block}, ptr {at(w, t, '%c', j0)}, ptr %args, ptr %sizes, ptr %scalars, "
        f"ptr %scratch, i64 %batch, i64 %m0, i64 %m1, i64 {j0}, i64 {nc}, i64 {k0}, i64 {kc}, i64 {bk}, i64 {bj}, i1 {last})"
    )
    w.close_loop(p)
    w.close_loop(j)
    w.do("ret void")
    return w


def _direct(w: Writer, rows: str) -> str:
    """Whether B is read where it lies: its rows have unit stride and few rows of A want it."""
    unit = w.let(f"icmp eq i64 {word(w, B_COL)}, 1")
    return w.let(f"and i1 {unit}, {w.let(f'icmp sle i64 {rows}, {DIRECT_ROWS}')}")


def _panels(t: Tile, pack_a: str, lines: Lines | None = None) -> Writer:
    """All panels of rows m0 to m1 against one block of B: as few as will do, of equal height. Behind the last block of k each
    is handed to the product's epilogue, if it has one."""
    w = Writer(f"define internal void @panels_{t.dtype.short}({_PANELS})", _names(_PANELS))
    rows, ldc = sub(w, "%m1", "%m0"), word(w, C_ROW)
    count, height = _cut(w, rows, t.rows, ROW_STEP)
    panel = w.let(f"getelementptr i8, ptr %scratch, i64 {8 * HEAD_WORDS}")
    more = w.let("icmp ne i64 %k0, 0")
    ends = w.let(f"and i1 %last, {w.let(f'icmp ne i64 {word(w, FINISH)}, 0')}")
    p = w.open_loop("0", count, 1)
    i0 = add(w, "%m0", mul(w, p.index, height))
    mr = least(w, sub(w, "%m1", i0), height)
    place = at(w, t, "%c", mul(w, i0, ldc))
    given = f"ptr %b, i64 %bk, i64 %bj, i64 %kc, ptr {place}, i64 {ldc}, i64 {mr}, i64 %nc, i1 {more}"
    after = w.fresh("after")
    if lines:
        few = "true" if lines.few is None else w.let(f"icmp sle i64 %nc, {lines.few}")
        with branch(w, few, after):
            line, whole = word(w, LINE), word(w, WHOLE)
            _by_height(w, t, mr, lines.name, f"ptr {at(w, t, '%a', mul(w, i0, line))}, i64 {line}, i64 {whole}, i64 %k0, {given}")
    if lines and lines.few is None:
        w.do("unreachable")
    else:
        w.do(
            f"call void @{pack_a or f'pack_a_{t.dtype.short}'}(ptr %a, ptr %args, ptr %sizes, i64 %batch, i64 {i0}, i64 {mr}, "
            f"i64 %k0, i64 %kc, ptr {panel})"
        )
        _by_height(w, t, mr, rows_name, f"ptr {panel}, {given}")
        w.do(f"br label %{after}")
    w.label(after)
    with when(w, ends):
        _call_finish(w, ("%batch", i0, mr, "%j0", "%nc"))
    w.close_loop(p)
    w.do("ret void")
    return w


def _by_height(w: Writer, t: Tile, mr: str, name: Callable[[Tile, int], str], given: str) -> None:
    """Calls the one of a family of functions that is made for `mr` rows."""
    join, names = w.fresh("join"), {r: w.fresh("rows") for r in range(ROW_STEP, t.rows + 1, ROW_STEP)}
    cases = " ".join(f"i64 {r // ROW_STEP}, label %{label}" for r, label in names.items())
    which = w.let(f"udiv i64 {add(w, mr, str(ROW_STEP - 1))}, {ROW_STEP}")
    w.do(f"switch i64 {which}, label %{join} [ {cases} ]")
    for r, label in names.items():
        w.label(label)
        w.do(f"call void @{name(t, r)}({given})")
        w.do(f"br label %{join}")
    w.label(join)


def _call_finish(w: Writer, words: Sequence[str]) -> None:
    """The epilogue, a kernel whose sizes are batch, first row, rows, first column, columns, then those the step has given. Word
    FINISH says where its address is; before it their number and, before that, they themselves. Its buffers begin behind A, B."""
    for i, value in enumerate(words):
        w.do(f"store i64 {value}, ptr {w.let(f'getelementptr i64, ptr %scratch, i64 {i}')}, align 8")
    end = word(w, FINISH)
    count = word_at(w, sub(w, end, "1"))
    first = sub(w, sub(w, end, "1"), count)
    g = w.open_loop("0", count, 1)
    to = w.let(f"getelementptr i64, ptr %scratch, i64 {add(w, g.index, str(len(words)))}")
    w.do(f"store i64 {word_at(w, add(w, first, g.index))}, ptr {to}, align 8")
    w.close_loop(g)
    code, args = w.let(f"inttoptr i64 {word_at(w, end)} to ptr"), w.let("getelementptr ptr, ptr %args, i64 2")
    w.here(f"call i32 {code}(ptr {args}, ptr %scratch, ptr %scalars, ptr null, i64 0, i64 1)")


def word_at(w: Writer, index: str) -> str:
    """The word of `sizes` with that number."""
    return w.here(f"load i64, ptr {w.let(f'getelementptr i64, ptr %sizes, i64 {index}')}, align 8")
