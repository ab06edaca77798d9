"""Reads C headers as far as a caller by ctypes needs: functions under their exported names, enum values, struct layouts.

Knows `#if` with numbers and `defined`, object-like and one-argument macros in names, and plain declarations. Needs no compiler.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASIC = {
    "char": ctypes.c_char, "signed char": ctypes.c_byte, "unsigned char": ctypes.c_ubyte, "short": ctypes.c_short,
    "unsigned short": ctypes.c_ushort, "int": ctypes.c_int, "unsigned": ctypes.c_uint, "unsigned int": ctypes.c_uint,
    "long": ctypes.c_long, "unsigned long": ctypes.c_ulong, "long long": ctypes.c_longlong,
    "unsigned long long": ctypes.c_ulonglong, "float": ctypes.c_float, "double": ctypes.c_double, "size_t": ctypes.c_size_t,
    "uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
    "int8_t": ctypes.c_int8, "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "bool": ctypes.c_bool,
}  # fmt: skip


@dataclass
class Header:
    """`functions`: exported name -> types of the arguments; `values`: enum constants and numeric macros; `types`: name -> ctypes
    type (pointers are all void pointers, enums are ints)."""

    functions: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=lambda: dict(BASIC))
    macros: dict[str, str] = field(default_factory=dict)

    def type(self, text: str) -> Any:
        """The ctypes type of a declaration's type; KeyError where it is unknown."""
        if "*" in text or "(" in text or text.strip().endswith("]"):
            return ctypes.c_void_p
        words = [w for w in text.split() if w not in ("const", "struct", "enum", "union", "volatile")]
        return self.types[" ".join(words)]


def read(paths: Iterable[Path], result: str, defined: Iterable[str] = ()) -> Header:
    """The headers as one text. `result`: the type that functions give (``CUresult``)."""
    made = Header(macros=dict.fromkeys(defined, "1"))
    text = "\n".join(_kept(p.read_text(errors="replace"), made.macros) for p in paths)
    for name, body in made.macros.items():
        if re.fullmatch(r"\(?(0x[0-9a-fA-F]+|\d+)\)?", body):
            made.values[name] = int(body.strip("()"), 0)
    _types(text, made)
    for found in re.finditer(rf"\b{result}\s+(?:CUDAAPI\s+)?(\w+)\s*\(([^;{{}}]*)\)\s*;", text):
        name = _exported(found.group(1), made.macros)
        try:
            made.functions.setdefault(name, [made.type(_nameless(a)) for a in _split(found.group(2))])
        except KeyError:
            continue
    return made


def _kept(text: str, macros: dict[str, str]) -> str:
    """The lines that conditions keep, without comments."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S).replace("\\\n", " ")
    out: list[str] = []
    states: list[tuple[bool, bool]] = []  # (kept, whether a branch was kept before)
    for line in text.splitlines():
        found = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        kept = all(s[0] for s in states)
        if found is None:
            if kept:
                out.append(line)
            continue
        word, rest = found.groups()
        if word in ("if", "ifdef", "ifndef"):
            says = _true(rest, macros) if word == "if" else (rest.split()[0] in macros) == (word == "ifdef")
            states.append((says, says))
        elif word in ("elif", "else"):
            before = states.pop()[1]
            says = not before and (word == "else" or _true(rest, macros))
            states.append((says, before or says))
        elif word == "endif":
            states.pop()
        elif word == "define" and kept:
            name, _, body = rest.partition(" ")
            macros[name.partition("(")[0]] = body.strip()
        elif word == "undef" and kept:
            macros.pop(rest.strip(), None)
    return "\n".join(out)


def _true(condition: str, macros: dict[str, str]) -> bool:
    text = re.sub(r"defined\s*\(?\s*(\w+)\s*\)?", lambda m: str(int(m.group(1) in macros)), condition)
    text = re.sub(r"\b[A-Za-z_]\w*(\s*\([^()]*\))?", lambda m: _number(m.group(), macros), text)
    text = text.replace("&&", " and ").replace("||", " or ")
    text = re.sub(r"!(?!=)", " not ", text)
    try:
        return bool(eval(re.sub(r"(\d)[uUlL]+", r"\1", text), {}))
    except (SyntaxError, TypeError):
        return False


def _number(name: str, macros: dict[str, str]) -> str:
    body = macros.get(name, "0")
    return body if re.fullmatch(r"\d+", body) else "0"


def _exported(name: str, macros: dict[str, str]) -> str:
    body = macros.get(name)
    if body is None:
        return name
    return re.sub(r".*\(\s*(\w+)\s*\).*", r"\1", body).strip()


def _split(text: str) -> list[str]:
    """Arguments or declarators, at commas outside of brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    found = [" ".join(p.split()) for p in parts]
    return [] if found in ([""], ["void"]) else found


def _nameless(argument: str) -> str:
    """An argument's type."""
    argument = argument.replace("__dparm(0)", "").partition("=")[0].strip()
    if "(" in argument or "[" in argument or "*" in argument:
        return "*"
    words = argument.split()
    return " ".join(words) if len(words) == 1 or words[-1] in ("int", "long", "char") else " ".join(words[:-1])


def _types(text: str, made: Header) -> None:
    for found in re.finditer(r"\benum\s*(?:__\w+\s+)?(\w*)\s*(?::\s*\w+\s*)?\{([^{}]*)\}\s*(\w*)\s*;", text):
        _enum(found.group(2), made)
        for name in (found.group(1), found.group(3)):
            if name:
                made.types[name] = ctypes.c_int
    for found in re.finditer(r"\btypedef\s+(?:struct|enum)\s+\w+\s*\*\s*(\w+)\s*;", text):
        made.types[found.group(1)] = ctypes.c_void_p
    for found in re.finditer(r"\btypedef\s+[^;{}]*\(\s*(?:CUDA_CB\s*|CUDAAPI\s*)?\*\s*(\w+)\s*\)\s*\([^;]*?\)\s*;", text):
        made.types[found.group(1)] = ctypes.c_void_p
    kinds = r"\b(?:typedef\s+)?(struct|union)\s+(\w+)?\s*\{|\btypedef\s+(?P<old>[\w\s*]+?)\b(?P<new>\w+)\s*;"
    for found in re.finditer(kinds, text):
        if found.group(1):
            _aggregate(text, found, made)
            continue
        try:
            made.types.setdefault(found.group("new"), made.type(found.group("old")))
        except KeyError:
            continue


def _enum(body: str, made: Header) -> None:
    value = -1
    for part in _split(body):
        name, _, given = part.partition("=")
        try:
            value = eval(re.sub(r"(\d)[uUlL]+\b", r"\1", given), {}, dict(made.values)) if given.strip() else value + 1
        except (NameError, SyntaxError):
            continue
        made.values.setdefault(name.strip(), value)


def _closed(text: str, start: int) -> int:
    """Behind the brace that closes the one before `start`."""
    depth = 1
    while depth:
        depth += (text[start] == "{") - (text[start] == "}")
        start += 1
    return start


def _aggregate(text: str, found: re.Match[str], made: Header) -> None:
    end = _closed(text, found.end())
    names = [found.group(2) or "", *_split(text[end : text.index(";", end)])]
    try:
        kind = _layout(found.group(1), text[found.end() : end - 1], made)
    except (KeyError, SyntaxError, NameError):
        return
    for name in names:
        if re.fullmatch(r"\w+", name):
            made.types.setdefault(name, kind)


def _layout(word: str, body: str, made: Header) -> Any:
    """The ctypes Structure or Union of a body."""
    fields: list[tuple[Any, ...]] = []
    at = 0
    while at < len(body):
        inner = re.compile(r"\s*(struct|union)\s*\w*\s*\{").match(body, at)
        if inner:
            end = _closed(body, inner.end())
            kind = _layout(inner.group(1), body[inner.end() : end - 1], made)
            stop = body.index(";", end)
            declared = _split(body[end:stop]) or [f"_{len(fields)}"]
        else:
            stop = body.find(";", at)
            if stop < 0:
                break
            first, *others = _split(body[at:stop]) or [""]
            if not first:
                break
            parted = re.match(r"(.*?[\s*])(\w+\s*(?:\[.*\]|:\s*\d+)*)$", first)
            if "(" in first.partition("[")[0] or parted is None:
                kind, declared = ctypes.c_void_p, [f"_{len(fields)}"]
            else:
                kind, declared = made.type(parted.group(1)), [parted.group(2), *others]
        fields += [_field(d, kind, made) for d in declared]
        at = stop + 1
    base: Any = ctypes.Structure if word == "struct" else ctypes.Union
    return type("Layout", (base,), {"_fields_": fields})


def _field(declared: str, kind: Any, made: Header) -> tuple[Any, ...]:
    if ":" in declared:
        name, width = declared.split(":")
        return name.strip(), kind, int(width)
    for size in reversed(re.findall(r"\[([^\]]*)\]", declared)):
        size = re.sub(r"sizeof\s*\(\s*([\w ]+?)\s*\)", lambda m: str(ctypes.sizeof(made.type(m.group(1)))), size)
        kind = kind * int(eval(size, {}, dict(made.values)))
    name = declared.partition("[")[0].strip()
    return (name.strip("* "), ctypes.c_void_p if "*" in name else kind)
