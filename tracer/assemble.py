"""Instructions to code objects: jump distances, EXTENDED_ARGs, line and exception tables follow from the instructions.

Never changes what the instructions say, and knows no version: `bytecode` has the encodings.
"""

from __future__ import annotations

import dis
from types import CodeType
from typing import Any

from .bytecode import CACHES, EXTENDED_ARG, Instruction, Position


def size(instr: Instruction) -> int:
    """Code units of an instruction with its EXTENDED_ARGs and caches."""
    return arg_units(instr.arg) + CACHES.get(instr.op, 0)


def arg_units(arg: int) -> int:
    """Code units that an argument takes, the opcode included."""
    return max(1, (arg.bit_length() + 7) // 8)


def encode(op: str, arg: int = 0, width: int = 0) -> bytes:
    """Bytes of one instruction; `width` asks for at least that many units before the caches."""
    units = max(width, arg_units(arg))
    prefix = b"".join(bytes((EXTENDED_ARG, arg >> 8 * k & 255)) for k in range(units - 1, 0, -1))
    return prefix + bytes((dis.opmap[op], arg & 255)) + bytes(2 * CACHES.get(op, 0))


def _line_varint(value: int) -> bytes:
    groups = []
    while value >= 64:
        groups.append(value & 63 | 64)
        value >>= 6
    return bytes((*groups, value))


def locations(units: int, position: Position, line: int) -> tuple[bytes, int]:
    """Line-table bytes for `units` code units at `position`, where `line` is the running line; and the running line after."""
    first, last, column, end = position
    out = bytearray()
    for length in [8] * (units // 8) + [units % 8] * bool(units % 8):
        if first is None:
            out.append(0x80 | 15 << 3 | length - 1)
            continue
        full = last is not None and column is not None and end is not None
        step = first - line
        out.append(0x80 | (14 if full else 13) << 3 | length - 1)
        out += _line_varint(-step * 2 + 1 if step < 0 else step * 2)
        if full:
            assert last is not None and column is not None and end is not None
            out += _line_varint(last - first) + _line_varint(column + 1) + _line_varint(end + 1)
        line = first
    return bytes(out), line


def handler_table(ranges: list[tuple[int, int, int, int, bool]]) -> bytes:
    """Exception table from (start, end, target, depth, lasti) in code units: groups of six bits, high first, bit 7 opens."""
    out = bytearray()
    for start, end, target, depth, lasti in ranges:
        opens = 0x80
        for value in (start, end - start, target, depth * 2 + lasti):
            count = max(1, (value.bit_length() + 5) // 6)
            for k in range(count - 1, -1, -1):
                out.append(value >> 6 * k & 63 | (64 if k else 0) | opens)
                opens = 0
    return bytes(out)


def _layout(instrs: list[Instruction]) -> tuple[list[int], list[int], dict[Instruction, int]]:
    """(argument, units of each instruction, where each begins). Widths only grow, so that this ends."""
    args = [instr.arg for instr in instrs]
    units = [1 if instr.target else arg_units(instr.arg) for instr in instrs]
    while True:
        where: dict[Instruction, int] = {}
        at = 0
        for instr, width in zip(instrs, units, strict=True):
            where[instr] = at
            at += width + CACHES.get(instr.op, 0)
        grown = False
        for k, instr in enumerate(instrs):
            if instr.target is None:
                continue
            args[k] = abs(where[instr.target] - where[instr] - units[k] - CACHES.get(instr.op, 0))
            grown |= arg_units(args[k]) > units[k]
            units[k] = max(units[k], arg_units(args[k]))
        if not grown:
            return args, units, where


def assemble(code: CodeType, instrs: list[Instruction], **replace: Any) -> CodeType:
    """`code` with other instructions; jumps, EXTENDED_ARGs and tables follow from them. `replace`: as for `code.replace`."""
    args, units, where = _layout(instrs)
    body, table, line = bytearray(), bytearray(), code.co_firstlineno
    ranges: list[tuple[int, int, int, int, bool]] = []
    for instr, arg, width in zip(instrs, args, units, strict=True):
        body += encode(instr.op, arg, width)
        start, length = where[instr], width + CACHES.get(instr.op, 0)
        entry, line = locations(length, instr.position, line)
        table += entry
        if instr.handler is None:
            continue
        to = (where[instr.handler.target], instr.handler.depth, instr.handler.lasti)
        if ranges and ranges[-1][1] == start and ranges[-1][2:] == to:
            start = ranges.pop()[0]
        ranges.append((start, where[instr] + length, *to))
    tables = {"co_linetable": bytes(table), "co_exceptiontable": handler_table(ranges)}
    return code.replace(co_code=bytes(body), **{**tables, **replace})
