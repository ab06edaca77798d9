"""LLVM text -> machine code in this process: a few cheap passes, code generation, our own link to a blob; and `load`.

Knows nothing of kernels or graphs and keeps nothing on disk. Where blobs cannot be mapped (not x86-64 Linux) the same two
calls go through llvmlite's own just-in-time linker.
"""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CompileError, LoadError
from ..runtime import forks, loader

if TYPE_CHECKING:
    from llvmlite import binding

#: enough for text that already has explicit vectors: no vectoriser, no inliner, no unrolling
PASSES: tuple[str, ...] = ("simplify_cfg", "sroa", "instruction_combine", "loop_simplify", "loop_rotate")

_OBJECT = b"FWOBJ001"  # what `build` gives where blobs cannot be mapped: this, then the object file
_FLAGS = '\n!llvm.module.flags = !{!99999}\n!99999 = !{i32 7, !"RtLibUseGOT", i32 1}\n'
_lock = forks.hold(forks.BUILD, threading.Lock())
_machines: dict[int, Any] = {}
_managers: dict[tuple[int, tuple[str, ...] | None], tuple[Any, Any, Any]] = {}
_RENEW = 64
_serial = itertools.count()


class Loaded(Protocol):
    """Code in memory: ``code["name"]`` is an address, valid while the object lives."""

    exports: dict[str, int]

    def __getitem__(self, name: str) -> int: ...


def _llvm() -> Any:
    from llvmlite import binding as llvm

    return llvm


def host_features() -> str:
    """LLVM's feature string of this processor; full 512-bit vectors are asked for where there is AVX-512."""
    features = _llvm().get_host_cpu_features()
    text = str(features.flatten())
    return text + ",-prefer-256-bit" if features.get("avx512f") else text


def machine(level: int = 2) -> Any:
    """The TargetMachine of code generation level `level` (0: fast to run, 2: good code), shared in the process."""
    found = _machines.get(level)
    if found is None:
        llvm = _llvm()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        model = "small" if loader.SUPPORTED else "jitdefault"
        found = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=host_features(), opt=level, reloc="pic", codemodel=model
        )
        _machines[level] = found
    return found


def optimise(text: str, level: int = 2, passes: Sequence[str] | None = PASSES, context: Any = None) -> binding.ModuleRef:
    """The parsed, verified module of `text` after `passes` (names as in llvmlite's ``add_NAME_pass``; None: LLVM's own
    pipeline of that level without its vectorisers). CompileError with LLVM's message where the text is wrong."""
    llvm = _llvm()
    tm = machine(min(level, 2))
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as e:
        raise CompileError(f"LLVM does not accept the generated text: {e}") from e
    manager, builder = _manager(level, None if passes is None else tuple(passes), tm)
    if passes is None or passes:
        manager.run(module, builder)
    return module


def _manager(level: int, passes: tuple[str, ...] | None, tm: Any) -> tuple[Any, Any]:
    """(pass manager, pass builder). Shared, since llvmlite does not give back all memory of a dropped one (5 kB), and
    renewed after 64 modules, since each run registers its callbacks in it once more and makes the next one slower."""
    found = _managers.get((level, passes))
    if found is not None and next(found[2]) < _RENEW:
        return found[:2]
    llvm = _llvm()
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(tm, options)
    manager = builder.getModulePassManager() if passes is None else llvm.create_new_module_pass_manager()
    for name in passes or ():
        getattr(manager, f"add_{name}_pass")()
    if passes is not None:  # LLVM's own pipeline runs once only
        _managers[level, passes] = manager, builder, itertools.count(1)
    return manager, builder


def build(text: str, *, level: int = 2, passes: Sequence[str] | None = PASSES) -> bytes:
    """The blob of an LLVM module. `level`: of code generation (0 or 2); `passes`: see `optimise` (() for none).

    External functions are found by name at load: libm, libc, or what `load` gets as `imports`. External data is refused.
    """
    llvm = _llvm()
    with _lock:
        context = llvm.create_context()  # its constants die with it; the global context would grow without end
        module = optimise(text if not loader.SUPPORTED or "!llvm.module.flags" in text else text + _FLAGS, level, passes, context)
        defined = [x for x in (*module.functions, *module.global_variables) if not x.is_declaration]
        names = [x.name for x in defined if x.linkage.name == "external"]
        obj: bytes = machine(min(level, 2)).emit_object(module)
    if loader.SUPPORTED:
        return link(obj)
    head = " ".join(names).encode()
    return _OBJECT + struct.pack("<I", len(head)) + head + obj


def assembly(text: str, *, level: int = 2, passes: Sequence[str] | None = PASSES) -> str:
    """Assembly text of the same code, to read."""
    llvm = _llvm()
    with _lock:
        return str(machine(min(level, 2)).emit_assembly(optimise(text, level, passes, llvm.create_context())))


def load(blob: bytes, imports: Mapping[str, int] | None = None) -> Loaded:
    """Map a blob. `imports`: addresses of external functions by name. LoadError where that fails."""
    return _Linked(blob[len(_OBJECT) :], imports or {}) if blob[: len(_OBJECT)] == _OBJECT else loader.Code(blob, imports)


class _Linked:
    """An object file linked by llvmlite, for systems where blobs are not mapped."""

    def __init__(self, obj: bytes, imports: Mapping[str, int]) -> None:
        llvm, (length,) = _llvm(), struct.unpack_from("<I", obj)
        names = obj[4 : 4 + length].decode().split()
        library = llvm.JITLibraryBuilder().add_object_img(obj[4 + length :]).add_current_process()
        for name, address in imports.items():
            library.import_symbol(name, address)
        for name in names:
            library.export_symbol(name)
        try:
            self._tracker = library.link(_jit(), f"fusewire{next(_serial)}")
        except RuntimeError as e:
            raise LoadError(f"llvmlite cannot link the machine code: {e}") from e
        self.exports: dict[str, int] = {name: int(self._tracker[name]) for name in names}

    def __getitem__(self, name: str) -> int:
        return self.exports[name]


_jits: list[Any] = []


def _jit() -> Any:
    with _lock:
        if not _jits:
            llvm = _llvm()
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            _jits.append(llvm.create_lljit_compiler(llvm.Target.from_default_triple().create_target_machine(reloc="pic")))
        return _jits[0]


# ---- link: x86-64 ELF object -> blob -------------------------------------------------------------------------------
_PC32, _PLT32, _GOT_KINDS = 2, 4, (9, 41, 42)
_ALLOC, _WRITE, _NOBITS, _RELA, _SYMTAB = 2, 1, 8, 4, 2


class _Elf:
    """The parts of an ELF64 object that linking needs."""

    def __init__(self, obj: bytes) -> None:
        if obj[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", obj, 18)[0] != 62:
            raise CompileError("the code generator did not give an x86-64 ELF object")
        at, (count, names) = struct.unpack_from("<Q", obj, 40)[0], struct.unpack_from("<HH", obj, 60)
        self.obj = obj
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", obj, at + 64 * i) for i in range(count)]
        self.names = [self.text(names, s[0]) for s in self.sections]
        table = next(s for s in self.sections if s[1] == _SYMTAB)
        raw = [struct.unpack_from("<IBBHQQ", obj, table[4] + 24 * i) for i in range(table[5] // 24)]
        self.symbols = [(self.text(table[6], s[0]), s[1], s[3], s[4]) for s in raw]  # name, info, section, value

    def text(self, table: int, at: int) -> str:
        start = self.sections[table][4] + at
        return self.obj[start : self.obj.index(b"\0", start)].decode()

    def relocations(self, place: Mapping[int, int]) -> list[tuple[int, int, tuple[str, int, int, int], int]]:
        """(place in the image, kind, symbol, addend) of the sections laid out."""
        return [
            (place[s[7]] + off, info & 0xFFFFFFFF, self.symbols[info >> 32], add)
            for s in self.sections
            if s[1] == _RELA and s[7] in place
            for off, info, add in struct.iter_unpack("<QQq", self.obj[s[4] : s[4] + s[5]])
        ]


def _up(x: int, align: int) -> int:
    return -(-x // align) * align


def _lay_out(elf: _Elf, writable: bool, size: int, place: dict[int, int]) -> int:
    for i, s in enumerate(elf.sections):
        if s[2] & _ALLOC and bool(s[2] & _WRITE) == writable and s[5] and not elf.names[i].startswith(".eh_frame"):
            size = _up(size, max(1, s[8]))
            place[i] = size
            size += s[5]
    return size


def link(obj: bytes) -> bytes:
    """ELF64 object (position independent, small code model) -> blob. CompileError on what would need an absolute address."""
    elf = _Elf(obj)
    place: dict[int, int] = {}
    end = _up(_lay_out(elf, False, 0, place), 16)
    code_at = dict(place)
    outside = [(kind, sym[0]) for _, kind, sym, _ in elf.relocations(code_at) if sym[2] == 0]
    stubs = {name: end + 16 * i for i, name in enumerate(dict.fromkeys(n for k, n in outside if k == _PLT32))}
    ro = _up(end + 16 * len(stubs), loader.PAGE)
    size = _up(_lay_out(elf, True, ro, place), 8)
    relocations = elf.relocations(place)
    words = {name: 0 for _, kind, (name, _, _, _), _ in relocations if kind in _GOT_KINDS} | dict.fromkeys(stubs, 0)
    words = {name: size + 8 * i for i, name in enumerate(words)}
    image = bytearray(_up(size + 8 * len(words), loader.PAGE))
    for i, at in place.items():
        s = elf.sections[i]
        if s[1] != _NOBITS:
            image[at : at + s[5]] = obj[s[4] : s[4] + s[5]]
    for name, at in stubs.items():
        struct.pack_into("<HiHQ", image, at, 0x25FF, words[name] - at - 6, 0, 0)  # jmp *[rip + word]
    for at, kind, sym, addend in relocations:
        struct.pack_into("<i", image, at, _target(kind, sym, place, stubs, words) + addend - at)
    exports = {n: place[sec] + value for n, info, sec, value in elf.symbols if n and info >> 4 in (1, 2) and sec in place}
    return loader.pack(bytes(image), ro, exports, _externals(elf, words, exports))


def _target(
    kind: int, sym: tuple[str, int, int, int], place: dict[int, int], stubs: dict[str, int], words: dict[str, int]
) -> int:
    name, _, section, value = sym
    if kind in _GOT_KINDS:
        return words[name]
    if kind == _PLT32 and section == 0:
        return stubs[name]
    if kind in (_PC32, _PLT32) and section in place:
        return place[section] + value
    raise CompileError(f"machine code refers to {name or 'a section'!r} by relocation {kind}, which needs a fixed address")


def _externals(elf: _Elf, words: Mapping[str, int], exports: Mapping[str, int]) -> dict[str, int]:
    inside = [name for name in words if name in exports]
    if inside:
        raise CompileError(f"machine code reaches {inside} through a table: declare them internal or hidden")
    return dict(words)
