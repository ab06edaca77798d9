"""What a launch's machine code for sm_90 is like: registers, spills, widths of loads, products under way, programs at a time.

    print(look(job))        of a launch of `backends.gpu.ways`; needs triton, no GPU
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import triton

from fusewire.backends.gpu import stages
from fusewire.backends.gpu.kernel import SM90
from fusewire.backends.gpu.ways import Job

_TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
_LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?(.*?);")
_WIDTH = {"128": 16, "64": 8, "U16": 2, "S16": 2, "U8": 1, "S8": 1}
#: of a processor of an H100 or H200: registers, bytes of shared memory (1,024 of each program are the driver's), warps, programs
_REGISTERS, _SHARED, _WARPS, _PROGRAMS = 1 << 16, 228 << 10, 64, 32


@dataclass(frozen=True)
class Code:
    """`local`: bytes of a thread that did not fit its `registers`; `loads`: how many of each width in bytes; `flight`: bytes that
    a thread has under way at most by plain loads; `copies`: instructions that copy into shared memory; `products`, `waits`: warp
    group products, and those that are waited for one by one; `loop`: instructions of the longest loop; `ops`: of each kind."""

    registers: int
    local: int
    shared: int
    warps: int
    loads: dict[int, int]
    flight: int
    copies: int
    products: int
    waits: int
    loop: int
    ops: dict[str, int]

    @property
    def programs(self) -> int:
        """On a processor at a time."""
        threads = 32 * self.warps
        by_registers = _REGISTERS // (-(-self.registers // 8) * 8 * threads)
        return min(_PROGRAMS, _WARPS // self.warps, by_registers, _SHARED // (self.shared + 1024))

    @property
    def serialised(self) -> bool:
        """Whether the assembler lets no two products run one behind the other (its note C7515)."""
        return self.products > 1 and self.waits == self.products


def look(job: Job) -> Code:
    """The machine code of a launch."""
    made = stages.run(job.build, SM90)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        text, used = (_said(option, file.name) for option in ("-sass", "--dump-resource-usage"))
    lines = [(int(at, 16), line) for at, line in _LINE.findall(text)]
    numbers = {key: int(n) for key, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", used)}
    products = [line for _, line in lines if line.startswith("HGMMA")]
    loads, flight = _loads(lines)
    return Code(
        numbers["REG"], numbers["STACK"] + numbers["LOCAL"], made.metadata["shared"], made.metadata["num_warps"], loads, flight,
        sum(line.startswith(("LDGSTS", "UTMALDG")) for _, line in lines), len(products), sum("gsb0" in p for p in products),
        _longest(lines), dict(Counter(re.split(r"[. ]", line)[0] for _, line in lines)),
    )  # fmt: skip


def _said(option: str, path: str) -> str:
    return subprocess.run([str(_TOOL), option, path], capture_output=True, text=True, check=True).stdout


def _loads(lines: list[tuple[int, str]]) -> tuple[dict[int, int], int]:
    """Widths of loads, and bytes under way at most: a load has come when a register that it fills is used."""
    widths, waiting, most = Counter[int](), list[tuple[set[int], int]](), 0
    for _, line in lines:
        op, registers = line.split()[0], [int(n) for n in re.findall(r"\bR(\d+)\b", line)]
        if op == "LDG" or op.startswith("LDG."):
            width = next((_WIDTH[part] for part in op.split(".") if part in _WIDTH), 4)
            widths[width] += 1
            first = registers[0] if registers else 0
            waiting.append((set(range(first, first + max(1, width // 4))), width))
            most = max(most, sum(n for _, n in waiting))
            continue
        used = [i for i, (own, _) in enumerate(waiting) if own & set(registers)]
        waiting = waiting[used[-1] + 1 :] if used else waiting
    return dict(widths), most


def _longest(lines: list[tuple[int, str]]) -> int:
    found = 0
    for at, line in lines:
        jump = re.search(r"BRA (0x[0-9a-f]+)", line)
        if jump and int(jump[1], 16) < at:
            found = max(found, sum(int(jump[1], 16) <= other <= at for other, _ in lines))
    return found
