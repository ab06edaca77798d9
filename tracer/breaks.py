"""Graph breaks as data: the record of one break, the exceptions that carry it through the tracer, and how things are named in it.

Never decides how the program goes on; `resume` and `tail` do. The registry of codes lies in `kinds`.
"""

from __future__ import annotations

import ast
import linecache
import sys
import types
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ..errors import GraphBreakError
from ..ir.graph import Where
from ..ir.lazyclass import dataclass

if TYPE_CHECKING:
    from .kinds import Kind

_SUBJECT = "\x1f"  # encloses what a reader wrote in his own words, and is told in them


@dataclass(frozen=True, slots=True)
class BreakRecord:
    """One graph break: which kind, what exactly, and where in the user's file (innermost frame last). `columns` count bytes."""

    code: str
    what: str
    where: Where
    columns: tuple[int, int] | None = None
    stack: tuple[Where, ...] = field(default=())

    @property
    def kind(self) -> Kind:
        """Its entry in the registry."""
        from .kinds import KINDS

        return KINDS[self.code]

    @property
    def why(self) -> str:
        return self.kind.why

    @property
    def hint(self) -> str:
        return self.kind.hint

    @property
    def expression(self) -> str:
        """The expression that breaks, as the user wrote it (its first line); "" where the source is not there."""
        return written(self.where, self.columns)

    def short(self) -> str:
        """One line: place, code and what happened."""
        return f"{self.where}: graph break [{self.code}] {self.what}"

    def __str__(self) -> str:
        lines = [f"graph break [{self.code}]: {self.what}"]
        for where in self.stack or (self.where,):
            lines.append(f'  File "{where.file}", line {where.line}, in {where.function}')
            text = linecache.getline(where.file, where.line).strip()
            if text:
                lines.append(f"    {text}")
        lines += [f"    {line}" for line in caret(self.where, self.columns)[1:]]
        lines += [f"  why:  {self.why}", f"  hint: {self.hint}"]
        return "\n".join(lines)


def caret(where: Where, columns: tuple[int, int] | None) -> list[str]:
    """The user's line without its margin, and (where the columns are known) a line of carets under the expression."""
    text = linecache.getline(where.file, where.line).rstrip()
    if not text.strip():
        return []
    if columns is None:
        return [text.strip()]
    first, last = (len(text.encode()[:n].decode(errors="ignore")) for n in columns)
    margin = len(text) - len(text.lstrip())
    return [text.strip(), " " * max(first - margin, 0) + "^" * max(min(last, len(text)) - first, 1)]


def written(where: Where, columns: tuple[int, int] | None) -> str:
    """The text between the columns of the user's line."""
    if columns is None:
        return ""
    text = linecache.getline(where.file, where.line).rstrip().encode()
    return text[columns[0] : columns[1]].decode(errors="ignore").strip()


def _in_short(text: str) -> str:
    """An expression as it is named in a sentence: a call without its arguments, else itself; "" where that is long."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        name, bracket, _ = text.partition("(")
        return f"{name}(...)" if bracket and name.replace(".", "").isidentifier() else ""
    if isinstance(tree, ast.Call):
        short = ast.unparse(tree.func) + ("(...)" if tree.args or tree.keywords else "()")
    else:
        short = text
    return short if len(short) <= 60 else ""


def told(what: str, own: bool, expression: str) -> str:
    """What happened, in the words of the user's line: the subject of `what` by what he wrote, if the line is the place itself
    (`own`), and else "inside of" that."""
    before, mark, rest = what.partition(_SUBJECT)
    name, _, behind = rest.partition(_SUBJECT)
    here = _in_short(expression)
    if own and mark and here:
        return before + here + behind
    plain = before + name + behind
    return plain if own or not here else f"{plain}, inside of {here}"


def refused(record: BreakRecord) -> GraphBreakError:
    """The error that stands in place of a graph break under ``fullgraph=True``."""
    error = GraphBreakError(str(record))
    error.record = record  # type: ignore[attr-defined]
    return error


class Break(BaseException):
    """Raised inside the tracer: the graph ends before the current instruction. No user code ever sees it."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(code, what)
        self.code, self.what = code, what


class UserRaise(BaseException):
    """Raised inside the tracer: the user's program raises `exc` at the current instruction."""

    def __init__(self, exc: BaseException) -> None:
        super().__init__(exc)
        self.exc = exc


class Restart(BaseException):
    """Raised inside the tracer: record again from the start and break the graph before step `step`, for the reason given."""

    def __init__(self, step: int, code: str, what: str) -> None:
        super().__init__(step, code, what)
        self.step, self.code, self.what = step, code, what


class TextNeeded(BaseException):
    """Raised inside the tracer: record again, with the numbers at `sources` as constants where they become text."""

    def __init__(self, sources: set[Any]) -> None:
        super().__init__(sources)
        self.sources = sources


class ValueNeeded(BaseException):
    """A traced tensor's memory was asked for: it has none until the graph runs."""

    def __init__(self, what: str, code: str = "tensor-value") -> None:
        super().__init__(what)
        self.code = code

    def as_break(self, fn: Any = None) -> Break:
        """The break that it means; `fn` is who asked."""
        if fn is bool:
            return Break("tensor-branch", f"the truth of {subject('a tensor')} is asked for: {self}")
        return Break(self.code, str(self) if fn is None else f"{subject(describe(fn))} needs {self}")


# -- names -----------------------------------------------------------------------------------------------------------------

#: C modules by the name under which their content is imported
_PUBLIC = {"_warnings": "warnings", "posix": "os", "nt": "os", "_thread": "threading", "_io": "io"}
_STREAMS = ("_io", "io", "socket", "_socket", "select", "subprocess", "_posixsubprocess", "posix", "shutil", "mmap")
_NAMESPACES = ("locals", "globals", "dir", "exec", "eval", "compile", "_getframe", "_current_frames", "settrace", "breakpoint")


def subject(name: str) -> str:
    """`name`, to be replaced by the user's own words for it."""
    return f"{_SUBJECT}{name}{_SUBJECT}"


#: what has a name of its own; asking anything else for one may run code of the user's
_CALLABLE = (
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType, types.WrapperDescriptorType,
    types.MethodDescriptorType, types.ClassMethodDescriptorType,
)  # fmt: skip
_NAMED = (*_CALLABLE, type, types.ModuleType, types.GeneratorType, types.CoroutineType, types.GetSetDescriptorType)


def describe(x: Any) -> str:
    """A function, type or object as a reader knows it. Runs no code of the user's."""
    name = (getattr(x, "__qualname__", None) or getattr(x, "__name__", None)) if isinstance(x, _NAMED) else None
    if name is None:
        return f"an object of type {type(x).__qualname__}"
    module = getattr(x, "__module__", None)
    if module is None and isinstance(_owner(x), types.ModuleType):
        module = x.__self__.__name__
    if not isinstance(module, str) or module in ("builtins", "__main__") or x is open:
        return str(name)
    return f"{_public(module, str(name))}{name}"


def _public(module: str, name: str) -> str:
    """What stands before the name of something of `module`, the dot included."""
    package = __name__.partition(".")[0]
    if module == package or module.startswith(f"{package}."):
        functional = sys.modules.get(f"{package}.nn.functional")
        known = functional is not None and hasattr(functional, name) and not hasattr(sys.modules[package], name)
        return "nn.functional." if known else ""
    module = _PUBLIC.get(module, module)
    return f"{module.removeprefix('_')}."


def stateful(fn: Any) -> Break:
    """The break at a call of a library function that reads or changes what lies outside of the graph."""
    code = "tensor-value" if fn.__name__ in ("numpy", "__array__") else "tensor-state"
    return Break(code, f"a call of {subject(describe(fn))}")


def _owner(fn: Any) -> Any:
    """What a method is bound to; None for anything else."""
    return getattr(fn, "__self__", None) if isinstance(fn, _CALLABLE) else None


def opaque(fn: Any, else_: str = "") -> Break:
    """The break at a call of what is no Python code; `else_` says what happened where it is no stream or namespace but the method
    of an object from outside."""
    known = isinstance(fn, (*_CALLABLE, type))
    owner = (getattr(fn, "__objclass__", None) if isinstance(fn, _CALLABLE) else None) or type(_owner(fn))
    module, name = (getattr(fn, "__module__", None) or owner.__module__, fn.__name__) if known else (type(fn).__module__, "")
    if str(module) in _STREAMS or owner.__module__ in _STREAMS or fn is open or fn is input:
        code = "input-output"
    elif name in _NAMESPACES and module in ("builtins", "sys"):
        code = "namespace"
    elif name in ("__enter__", "__exit__"):
        return Break("context-manager", f"{'entering' if name == '__enter__' else 'leaving'} {describe(_owner(fn))}")
    elif else_:
        return Break("outside-object", else_)
    else:
        code = "c-class" if isinstance(fn, type) else "c-function"
    return Break(code, f"a call of {subject(describe(fn))}")
