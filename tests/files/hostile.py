"""Hostile and damaged files, each from its number: `hostile(n)` gives (kind, bytes, arguments of load). Half a thousand of them
are looked at by ``python tests/files/hostile.py 500``; the tests take a part."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

import fusewire as fw

Draw = random.Random
#: what pickles ask for; the one argument is a text that would leave a trace
GLOBALS = [
    "os system", "posix system", "nt system", "builtins eval", "builtins exec", "builtins open", "builtins getattr",
    "builtins __import__", "builtins compile", "builtins globals", "builtins input", "builtins breakpoint", "builtins type",
    "subprocess Popen", "subprocess check_output", "importlib import_module", "runpy run_path", "shutil rmtree", "os remove",
    "pickle loads", "_pickle loads", "marshal loads", "ctypes CDLL", "code interact", "timeit timeit", "pty spawn", "sys exit",
    "os _exit", "numpy load", "numpy fromfile", "numpy.testing._private.utils runstring", "functools partial",
    "operator attrgetter",
    "operator methodcaller", "types FunctionType", "types CodeType", "collections namedtuple", "webbrowser open", "socket socket",
    "tempfile NamedTemporaryFile", "logging.config dictConfig", "torch.hub load", "torch load", "torch.serialization load",
    "torch._utils _import_dotted_name", "torch.jit load", "torch.storage _load_from_bytes", "torch.utils.cpp_extension load",
    "fusewire.utils.serialization load", "fusewire.utils.serialization add_safe_globals", "fusewire.eager.tensor _rebuild",
    "fusewire.utils.unpickling loads", "fusewire.eager.factory make", "fusewire.knobs say", "fusewire.runner run",
    "__main__ __builtins__",
    "builtins map", "builtins bytes.fromhex", "builtins str.format", "os.path join", "builtins vars", "builtins setattr",
    "builtins delattr",
]  # fmt: skip


def value() -> Any:
    """What the undamaged files hold."""
    return {"weight": fw.arange(40.0).view(5, 8), "step": 3, "names": ["a", "b"], "more": OrderedDict(x=fw.ones(3), y=(1, 2.5))}


def saved() -> bytes:
    buffer = io.BytesIO()
    fw.save(value(), buffer)
    return buffer.getvalue()


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: Any, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, data)
    return buffer.getvalue()


def around(pickled: bytes, **storages: bytes) -> bytes:
    """An archive of that pickle, and of storage 0 with 16 bytes."""
    data = {"0": bytes(16), **storages}
    return zipped({"a/data.pkl": pickled, **{f"a/data/{k}": v for k, v in data.items()}, "a/version": b"3\n"})


class Raw:
    """A reduction written into a pickle."""

    def __init__(self, *words: Any) -> None:
        self.words = words

    def __reduce__(self) -> Any:
        return self.words


def text(s: str) -> bytes:
    data = s.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def glob(path: str) -> bytes:
    return b"c" + path.replace(" ", "\n").encode() + b"\n"


def storage(count: int = 4, kind: str = "torch FloatStorage", key: str = "0", where: str = "cpu") -> bytes:
    number = b"\x8a\x08" + struct.pack("<q", count)
    return b"(" + text("storage") + glob(kind) + text(key) + text(where) + number + b"tQ"


def whole(n: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", n)


def row(*numbers: int) -> bytes:
    return b"(" + b"".join(map(whole, numbers)) + b"t"


def tensor(offset: bytes, size: bytes, stride: bytes, stored: bytes | None = None, name: str = "_rebuild_tensor_v2") -> bytes:
    return glob(f"torch._utils {name}") + b"(" + (stored or storage()) + offset + size + stride + b"\x89}tR"


def damaged(d: Draw) -> bytes:
    data = bytearray(saved())
    for _ in range(d.choice((1, 1, 2, 30, 300))):
        data[d.randrange(len(data))] ^= d.randrange(1, 256)
    return bytes(data)


def truncated(d: Draw) -> bytes:
    data = saved()
    cut = d.randrange(len(data))
    return data[:cut] if d.random() < 0.7 else data[cut:]


def mutated_pickle(d: Draw) -> bytes:
    """A pickle with bytes changed, put in, taken out, under checksums that are right."""
    members = parts(saved())
    name = next(n for n in members if n.endswith("data.pkl"))
    data = bytearray(members[name])
    for _ in range(d.choice((1, 1, 2, 5))):
        at = d.randrange(len(data))
        way = d.randrange(3)
        data[at : at + (way != 1)] = b"" if way == 2 else bytes([d.choice(data) if d.random() < 0.5 else d.randrange(256)])
    return zipped({**members, name: bytes(data)})


def random_pickle(d: Draw) -> bytes:
    codes = (
        b"()]}lt.0125NIKMJLGFSTUVXBCaebdusqprghjcRoiQPO\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d"
        b"\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"
    )
    body = bytes(d.choice(codes) if d.random() < 0.8 else d.randrange(256) for _ in range(d.randrange(1, 400)))
    return around(b"\x80\x02" + body + b".")


def calls(d: Draw) -> bytes:
    path, trace = d.choice(GLOBALS), text("echo trace > trace")
    way = d.randrange(6)
    if way == 0:
        return around(b"\x80\x02" + glob(path) + b"(" + trace + b"tR.")
    if way == 1:
        return around(b"\x80\x02" + glob(path) + b"(" + trace + b"t\x81.")
    if way == 2:
        return around(b"(" + trace + b"i" + path.replace(" ", "\n").encode() + b"\n.")
    if way == 3:
        return around(b"(" + glob(path) + trace + b"o.")
    module, _, name = path.partition(" ")
    got = text(module) + text(name) + b"\x93"
    return around(b"\x80\x04" + got + (b"(" + trace + b"tR." if way == 4 else b")}\x92."))


def builds(d: Draw) -> bytes:
    """State for what is no fresh object: functions, classes, dtypes, tensors, numbers."""
    target = d.choice([
        glob("torch._utils _rebuild_tensor_v2"), glob("collections OrderedDict"), glob("torch float32"), glob("torch Size"),
        b"K\x01", b"]",
        b"}", tensor(whole(0), row(4), row(1)), glob("torch FloatStorage"), glob("torch.nn.parameter Parameter"), storage(),
        b")", text("x"),
        glob("numpy dtype") + b"(" + text("f4") + b"\x89\x88tR", glob("collections OrderedDict") + b")R", glob("builtins set") +
        b"(]tR",
    ])  # fmt: skip
    state = d.choice([
        b"}" + text("__class__") + glob("collections OrderedDict") + b"s", b"}" + text("_array") + b"K\x07s", b"N}" +
        text("_array") + b"K\x07s\x86",
        b"}" + text("__code__") + b"Ns", b"}" + text("__defaults__") + b")s", b"K\x05", text("x"), b"}" + text("items") +
        b"K\x01s", b"(K\x03" + text("<") + glob("builtins object") + b"NNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ft",
    ])  # fmt: skip
    return around(b"\x80\x02" + target + state + b"b.")


def places(d: Draw) -> bytes:
    """Tensors that would leave their storage, or are of impossible numbers."""
    big = d.choice([1 << 31, 1 << 40, (1 << 62) - 1, (1 << 63) - 1, -1, -(1 << 63), 5, 17])
    size, stride, offset = d.choice([
        (row(big), row(1), whole(0)), (row(4), row(big), whole(0)), (row(4), row(1), whole(big)), (row(2, 2), row(4, 2),
        whole(1)),
        (row(4, 4), row(1), whole(0)), (row(4), row(-1), whole(3)), (row(-1), row(1), whole(0)), (text("4"), text("1"), whole(0)),
        (b"G@\x00\x00\x00\x00\x00\x00\x00\x85", row(1), whole(0)), (row(4), b"N", whole(0)), (row(*[1] * 70), row(*[1] * 70),
        whole(0)),
        (row(1 << 32, 1 << 32), row(1, 1), whole(0)), (row(4), row(1), b"N"), (b"]", b"]", whole(-4)), (row(2, 1 << 61), row(1 <<
        61, 1), whole(0)),
    ])  # fmt: skip
    return around(b"\x80\x02" + tensor(offset, size, stride, None, d.choice(("_rebuild_tensor_v2", "_rebuild_tensor"))) + b".")


def persistent(d: Draw) -> bytes:
    """Persistent ids of the wrong shape."""
    words = d.choice([
        b"N", b"K\x07", text("storage"), b")", b"(" + text("storage") + b"t", b"(" + text("module") + glob("torch FloatStorage")
        * 4 + b"t", b"(" + text("storage") + text("torch.FloatStorage") + text("0") + text("cpu") + b"K\x04t",
        b"(" + text("storage") + glob("torch float32") + text("0") + text("cpu") + b"K\x04t",
        b"(" + text("storage") + glob("torch FloatStorage") + b"K\x00" + text("cpu") + b"K\x04t",
        b"(" + text("storage") + glob("torch FloatStorage") + text("0") + b"NK\x04t",
        b"(" + text("storage") + glob("torch FloatStorage") + text("0") + text("cpu") + b"Nt", b"]", b"}",
        b"(" + text("storage") + glob("torch FloatStorage") + text("0") + text("cpu") + b"K\x04(" + text("v") + b"K\x00K\x04tt",
    ])  # fmt: skip
    if d.random() < 0.3:
        stored = storage(d.choice((0, 3, 5, -1, 1 << 50)), key=d.choice(("0", "1", "../0", "0/../0", "data.pkl", "\udc80", "")))
        return around(b"\x80\x02" + tensor(whole(0), row(1), row(1), stored) + b".")
    return around(b"\x80\x02" + words + (b"Q." if d.random() < 0.7 else b"P0\n."))


def nested(d: Draw) -> bytes:
    """Nesting without end, and keys that take for ever to hash."""
    depth = d.choice((500, 20_000))
    way = d.randrange(5)
    if way == 0:
        return around(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")
    if way == 1:
        return around(b"\x80\x02)" + b"\x85" * depth + b".")
    twice = b"K\x01" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    if way == 2:
        return around(b"\x80\x02}" + twice + b"K\x01s.")
    if way == 3:
        return around(b"\x80\x02" + glob("builtins set") + b"(]" + twice + b"atR.")
    return around(b"\x80\x04(" + twice + b"\x91.")


def copies(d: Draw) -> bytes:
    """A long thing copied again and again."""
    n = 40_000
    long = b"X" + struct.pack("<I", n) + b"x" * n
    way = d.randrange(4)
    if way == 0:
        head, one = b"](" + b"K\x01K\x02\x86" * (n // 8) + b"eq\x00", glob("collections OrderedDict") + b"(h\x00tR0"
    elif way == 1:
        head, one = long + b"q\x00", glob("_codecs encode") + b"(h\x00" + text("latin1") + b"tR0"
    elif way == 2:
        head, one = b"B" + struct.pack("<I", n) + bytes(n) + b"q\x00", glob("builtins bytearray") + b"(h\x00tR0"
    else:
        dtype = glob("numpy dtype") + b"(" + text("u1") + b"\x89\x88tRq\x01"
        make = glob("numpy._core.multiarray _reconstruct") + b"(" + glob("numpy ndarray") + b"K\x00\x85C\x01btR"
        head = b"B" + struct.pack("<I", n) + bytes(n) + b"q\x00" + dtype
        one = make + b"(K\x01" + whole(n) + b"\x85h\x01\x89h\x00tb0"
    return around(b"\x80\x03" + head + one * 3000 + b"N.")


def huge(d: Draw) -> bytes:
    """Claims of sizes that are not there."""
    big = d.choice(((1 << 31) - 1, 1 << 30, 1 << 40, 1 << 62))
    return around(b"\x80\x04" + d.choice([
        b"\x8d" + struct.pack("<Q", big), b"\x8e" + struct.pack("<Q", big), b"\x96" + struct.pack("<Q", big),
        b"\x8b\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\xff", b"T\xff\xff\xff\x7f", b"X\xff\xff\xff\xff", b"\x95" + struct.pack("<Q", big) + b"N", b"I" + b"9"
        * 50_000 + b"\n",
        b"L" + b"9" * 50_000 + b"L\n", glob("builtins bytearray") + b"(" + whole(big) + b"tR", b"r\xff\xff\xff\xffN",
        b"Nr\xff\xff\xff\xff",
        glob("builtins range") + b"(" + whole(big) + b"tR", glob("collections deque") + b"(]" + whole(-big) + b"tR",
        b"j\xff\xff\xff\xff",
        glob("torch Size") + b"(" + whole(big) + b"tR", glob("builtins complex") + b"(" + text("9" * 1000) + b"tR",
        tensor(whole(0), row(big), row(0), storage(big)), b"\x8a\xff" + b"\x7f" * 255,
    ]) + b".")  # fmt: skip


def arrays(d: Draw) -> bytes:
    """NumPy's reductions, misused."""
    dtype = d.choice([
        text("O"), text("V8"), text("f4,f4"), text("object"), text("|S99999999"), text("U999999"), b"K\x04", b"N", text("f4"),
        text("M8[as]"), text("f16"), text("<f8 ; x"), glob("builtins object"), text("(1000000,1000000)f8"),
    ])  # fmt: skip
    made = glob("numpy dtype") + b"(" + dtype + b"\x89\x88tR"
    if d.random() < 0.3:
        made += b"(K\x03" + d.choice((text("<"), text(">"), text("x"), b"N")) + d.choice((b"NNN", b"N" + text("ab") + b"}"))
        made += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    if d.random() < 0.2:
        return around(b"\x80\x03" + glob("numpy._core.multiarray scalar") + b"(" + made + b"C\x02abtR.")
    kind = d.choice((glob("numpy ndarray"), glob("builtins list"), glob("numpy dtype")))
    shape = d.choice(
        (row(1), row(2), row(1 << 40), row(-1), row(1 << 32, 1 << 32), b"K\x01", b")", row(*[1] * 40), row(0, 1 << 62))
    )
    start = glob(f"numpy.{d.choice(('core', '_core'))}.multiarray _reconstruct") + b"(" + kind + b"K\x00\x85C\x01btR"
    state = b"(K\x01" + shape + made + d.choice((b"\x88", b"\x89")) + d.choice((b"C\x04abcd", text("abcd"), b"N", b"]")) + b"t"
    return around(b"\x80\x03" + start + (state + b"b" if d.random() < 0.8 else b"") + b".")


def confused(d: Draw) -> bytes:
    """Functions of the table, given other things than they take."""
    name = d.choice([
        "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state",
        "torch Size",
        "torch._utils _rebuild_sparse_tensor", "torch._tensor _rebuild_from_type_v2", "torch device",
        "torch.serialization _get_layout",
        "collections OrderedDict", "collections Counter", "builtins set", "builtins frozenset", "builtins complex",
        "builtins slice", "torch Tensor",
        "torch.nn.parameter Parameter", "fusewire.eager.random _restored", "collections defaultdict", "_codecs encode",
        "torch.nn.modules.linear Linear", "torch._utils _rebuild_qtensor", "torch float8_e4m3fn", "torch FloatStorage",
    ])  # fmt: skip
    things = [
        b"N", b"K\x01", text("cpu"), b"]", b"}", b")", b"]]a", b"]K\x01a", b"](K\x01K\x02K\x03ea", glob("torch float32"),
        glob("torch sparse_coo"),
        tensor(whole(0), row(4), row(1)), tensor(whole(0), row(2, 2), row(2, 1)), storage(), glob("os system"), row(2, 2),
        text("torch.sparse_coo"),
        glob("torch._utils _rebuild_tensor_v2"), glob("builtins int"), b"G\x7f\xf0\x00\x00\x00\x00\x00\x00",
        text("torch.strided\x00"),
    ]  # fmt: skip
    return around(b"\x80\x02" + glob(name) + b"(" + b"".join(d.choice(things) for _ in range(d.randrange(8))) + b"tR.")


def stack_tricks(d: Draw) -> bytes:
    return around(b"\x80\x02" + d.choice([
        b"", b".", b"0.", b"1.", b"((((.", b"t.", b"2.", b"e.", b"(e.", b"s.", b"}s.", b"}(K\x01u.", b"a.", b"Na.", b"h\x05.",
        b"g5\n.", b"gx\n.", b"j\x00\x00\x00\x01.",
        b"R.", b")R.", b"K\x01)R.", b"b.", b"}b.", b"\x93.", b"K\x01K\x02\x93.", b"Q.", b"P1\n.", b"\x82\x01.", b"\x83\x01\x00.",
        b"\x84\x01\x00\x00\x00.",
        b"\x97.", b"\x98.", b"\x80\x09N.", b"}]K\x01s.", b"}}K\x01s.", b"\x8f(]\x90.", b"(]\x91.", b"S'a\n.", b"Sabc\n.",
        b"I1x\n.", b"F1x\n.", b"V\\ud800\n.", b"c\n\n.",
        b"c\xff\n\xff\n.", b"N" * 5, b"I" + b"1" * 5000 + b"\n.", b"p-1\n.", b"Np-1\n.", b"(i\n", b"N.N.N.",
        b"X\x05\x00\x00\x00\xff\xfe\xfd\xfc\xfb.",
    ]))  # fmt: skip


def zip_tricks(d: Draw) -> bytes:
    members = parts(saved())
    way = d.randrange(12)
    name = d.choice(list(members))
    if way == 0:
        return zipped(members, zipfile.ZIP_DEFLATED)
    if way == 1:
        pickled = next(n for n in members if n.endswith("data.pkl"))
        return zipped({**members, pickled: b"\x80\x02" + b"N0" * (1 << 20) + b"N."}, zipfile.ZIP_DEFLATED)
    if way == 2:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for n, data in members.items():
                archive.writestr(n, data)
            archive.NameToInfo.clear()  # so that the library does not warn
            archive.writestr(name, b"again")
        return buffer.getvalue()
    if way == 3:
        return zipped(
            {**members, d.choice(("../../trace", "/trace", "other/data.pkl", "C:\\trace", "a/b/c/data.pkl")): b"\x80\x02N."}
        )
    if way == 4:
        return zipped({n: data for n, data in members.items() if n != name})
    if way == 5:
        return zipped({n: (b"" if n == name else data) for n, data in members.items()})
    data = bytearray(zipped(members))
    row = data.find(b"PK\x01\x02") if way < 10 else data.find(b"PK\x05\x06")
    field, form = {6: (24, "<I"), 7: (20, "<I"), 8: (42, "<I"), 9: (8, "<H"), 10: (12, "<I"), 11: (16, "<I")}[way]
    new = d.choice((0, 1, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 30, len(data))) if form == "<I" else d.choice((1, 8, 0xFFFF))
    struct.pack_into(form, data, row + field, new & (0xFFFF if form == "<H" else 0xFFFFFFFF))
    return bytes(data)


def overlapping(d: Draw) -> bytes:
    """Many members that lie in each other, or two storages in one place."""
    size = 50_000
    data = (
        b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 0, 0, 0, zlib.crc32(bytes(size)), size, size, 8, 0) + b"a/data/0" + bytes(size)
    )
    pickled = b"\x80\x02N."
    at = len(data)
    data += (
        b"PK\3\4"
        + struct.pack("<5H3I2H", 20, 0, 0, 0, 0, zlib.crc32(pickled), len(pickled), len(pickled), 10, 0)
        + b"a/data.pkl"
        + pickled
    )
    rows, start = b"", len(data)
    for i in range(d.choice((2, 200))):
        name = f"a/data/{i}".encode()
        rows += (
            b"PK\1\2"
            + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, zlib.crc32(bytes(size)), size, size, len(name), 0, 0, 0, 0, 0, 0)
            + name
        )
    rows += (
        b"PK\1\2"
        + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, zlib.crc32(pickled), len(pickled), len(pickled), 10, 0, 0, 0, 0, 0, at)
        + b"a/data.pkl"
    )
    count = rows.count(b"PK\1\2")
    return data + rows + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, count, count, len(rows), start, 0)


def old(d: Draw) -> bytes:
    """The format before the zip files, damaged."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, system))
    stored = b"(" + text("storage") + glob("torch FloatStorage") + text("7") + text("cpu") + b"K\x04NtQ"
    body = b"\x80\x02" + tensor(whole(0), row(4), row(1), stored) + b"."
    count = d.choice((4, 4, 4, 5, -1, 1 << 60))
    data = head + body + pickle.dumps(["7"], 2) + struct.pack("<q", count) + np.arange(4.0, dtype=np.float32).tobytes()
    way = d.randrange(4)
    if way == 0:
        return data[: d.randrange(2, len(data))]
    if way == 1:
        changed = bytearray(data)
        changed[d.randrange(1, len(data))] ^= d.randrange(1, 256)
        return bytes(changed)
    if way == 2:
        return head + b"\x80\x02" + glob(d.choice(GLOBALS)) + b"(" + text("echo trace > trace") + b"tR." + pickle.dumps([], 2)
    return data if count != 4 else head + body + pickle.dumps(d.choice([None, ["8"], ["7", "7"], 3]), 2) + data[-24:]


def noise(d: Draw) -> bytes:
    return d.choice((b"", b"PK", b"PK\3\4", b"\x80", b"\x80\x02", b"\x7fELF", b"\x89PNG")) + d.randbytes(
        d.choice((0, 1, 30, 3000))
    )


KINDS: list[Callable[[Draw], bytes]] = [
    damaged, truncated, mutated_pickle, random_pickle, calls, builds, places, persistent, nested, huge, arrays, confused,
    stack_tricks, zip_tricks, overlapping, old, noise, mutated_pickle, calls, copies,
]  # fmt: skip


def hostile(number: int) -> tuple[str, bytes, dict[str, Any]]:
    """File number `number`: its kind, its bytes, and what `load` is given with it."""
    d = Draw(number)
    make = KINDS[number % len(KINDS)]
    return make.__name__, make(d), {"weights_only": False} if d.random() < 0.3 else {}
