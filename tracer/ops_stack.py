"""Handlers of instructions that move values: stack, slots, cells, globals, imports, functions."""

from __future__ import annotations

import sys
import types
from typing import Any

from ..ir.dtypes import DType
from ..ir.op import Op
from ..runtime.guard import Is, Lacks
from ..runtime.source import Cell, Const, Item
from .breaks import Break, UserRaise, describe
from .bytecode import NULL, Step, slot_names
from .classes import by_python
from .frame import Frame, handles
from .guards import of_library
from .values import Lazy, concrete

_FIXED = (types.FunctionType, type, types.ModuleType, types.BuiltinFunctionType, Op, DType)


@handles("NOP")
def nop(f: Frame, step: Step) -> None:
    pass


@handles("POP_TOP")
def pop_top(f: Frame, step: Step) -> None:
    f.stack.pop()


@handles("PUSH_NULL")
def push_null(f: Frame, step: Step) -> None:
    f.stack.append(NULL)


@handles("COPY")
def copy(f: Frame, step: Step) -> None:
    f.stack.append(f.stack[-step.arg])


@handles("SWAP")
def swap(f: Frame, step: Step) -> None:
    f.stack[-1], f.stack[-step.arg] = f.stack[-step.arg], f.stack[-1]


@handles("LOAD_CONST")
def load_const(f: Frame, step: Step) -> None:
    f.stack.append(step.arg)


@handles("LOAD_FAST")
def load_fast(f: Frame, step: Step) -> None:
    value = f.slots[step.arg] if f.head else f.load_slot(step.arg)
    if value is NULL:
        name = slot_names(f.code)[step.arg]
        raise UserRaise(UnboundLocalError(f"cannot access local variable '{name}' where it is not associated with a value"))
    f.stack.append(value)


@handles("LOAD_FAST_AND_CLEAR")
def load_fast_and_clear(f: Frame, step: Step) -> None:
    f.stack.append(f.load_slot(step.arg))
    f.slots[step.arg] = NULL


@handles("STORE_FAST")
def store_fast(f: Frame, step: Step) -> None:
    if not f.head:
        _drop(f.slots[step.arg])
    f.slots[step.arg] = f.stack.pop()


@handles("DELETE_FAST")
def delete_fast(f: Frame, step: Step) -> None:
    if f.slots[step.arg] is NULL:
        name = slot_names(f.code)[step.arg]
        raise UserRaise(UnboundLocalError(f"cannot access local variable '{name}' where it is not associated with a value"))
    _drop(f.slots[step.arg])
    f.slots[step.arg] = NULL


def _drop(old: Any) -> None:
    """A variable lets go of `old`; where that may run code of the user's, CPython is to do it."""
    old = old.value if type(old) is Lazy else old
    if by_python(type(old)) and hasattr(type(old), "__del__"):
        raise Break("finalizer", f"{describe(old)} may die here, which runs its __del__")


@handles("MAKE_CELL")
def make_cell(f: Frame, step: Step) -> None:
    value = f.load_slot(step.arg)
    f.slots[step.arg] = types.CellType() if value is NULL else types.CellType(value)


@handles("COPY_FREE_VARS")
def copy_free_vars(f: Frame, step: Step) -> None:
    f.slots[len(f.slots) - step.arg :] = list(f.closure)


def read_cell(f: Frame, cell: Any) -> Any:
    """Content of a cell, NULL where it is empty."""
    effects, outside = f.session.effects, f.session.outside
    if id(cell) in effects.cells:
        return effects.cells[id(cell)]
    source = outside.source_of(cell)
    try:
        value = cell.cell_contents
    except ValueError:
        if source is not None:
            raise Break("unbound", "an empty cell of a closure from outside") from None
        return NULL
    if source is None:
        return value
    return outside.constant(value, "cell") if f.library and isinstance(value, _FIXED) else outside.admit(value, Cell(source))


@handles("LOAD_DEREF")
def load_deref(f: Frame, step: Step) -> None:
    value = read_cell(f, f.load_slot(step.arg))
    if value is NULL:
        _unbound_cell(f, step)
    f.stack.append(value)


def _unbound_cell(f: Frame, step: Step) -> None:
    name = slot_names(f.code)[step.arg]
    if name in f.code.co_freevars:
        raise UserRaise(
            NameError(f"cannot access free variable '{name}' where it is not associated with a value in enclosing scope")
        )
    raise UserRaise(UnboundLocalError(f"cannot access local variable '{name}' where it is not associated with a value"))


def write_cell(f: Frame, cell: Any, value: Any) -> None:
    """Store into a cell (NULL: empty it), for real where the region made it."""
    if f.session.outside.source_of(cell) is not None:
        f.session.effects.set_cell(cell, value)
    elif value is NULL:
        del cell.cell_contents
    else:
        cell.cell_contents = value


@handles("STORE_DEREF")
def store_deref(f: Frame, step: Step) -> None:
    write_cell(f, f.load_slot(step.arg), f.stack.pop())


@handles("DELETE_DEREF")
def delete_deref(f: Frame, step: Step) -> None:
    cell = f.load_slot(step.arg)
    if read_cell(f, cell) is NULL:
        _unbound_cell(f, step)
    write_cell(f, cell, NULL)


def read_global(f: Frame, name: str) -> Any:
    """A global or builtin; NULL where there is none."""
    changed = f.session.effects.globals.get((id(f.globals), name))
    if changed is not None and changed is not NULL:
        return changed
    outside = f.session.outside
    namespace = Const(f.globals, f"vars({f.globals.get('__name__', '?')})")
    if changed is None and name in f.globals:
        value = f.globals[name]
        if f.library and isinstance(value, _FIXED):
            return outside.constant(value, name)
        return outside.admit(value, Item(namespace, name))
    if not f.library and changed is None:
        outside.guard(Lacks(namespace, name))
    if name not in f.builtins:
        return NULL
    value = f.builtins[name]
    return outside.constant(value, name) if f.library else outside.admit(value, Item(Const(f.builtins, "vars(builtins)"), name))


@handles("LOAD_GLOBAL")
def load_global(f: Frame, step: Step) -> None:
    value = read_global(f, step.arg)
    if value is NULL:
        raise UserRaise(NameError(f"name '{step.arg}' is not defined", name=step.arg))
    f.stack.append(value)


@handles("STORE_GLOBAL")
def store_global(f: Frame, step: Step) -> None:
    f.session.effects.set_global(f.globals, step.arg, f.stack.pop())


@handles("DELETE_GLOBAL")
def delete_global(f: Frame, step: Step) -> None:
    stored = f.session.effects.globals
    key = id(f.globals), step.arg
    there = stored[key] is not NULL if key in stored else read_global(f, step.arg) is not NULL and step.arg in f.globals
    if not there:
        raise UserRaise(NameError(f"name '{step.arg}' is not defined", name=step.arg))
    f.session.effects.set_global(f.globals, step.arg, NULL)


@handles("LOAD_ASSERTION_ERROR")
def load_assertion_error(f: Frame, step: Step) -> None:
    f.stack.append(AssertionError)


@handles("IMPORT_NAME")
def import_name(f: Frame, step: Step) -> None:
    level, names = f.stack[-2:]
    package = f.globals.get("__package__") or ""
    base = package.rsplit(".", level - 1)[0] if level else ""
    full = ".".join(part for part in (base, step.arg) if part)
    if full not in sys.modules:
        raise Break("import", f"the first import of {full}")
    del f.stack[-2:]
    name = full if names or level else full.split(".")[0]
    module, outside = sys.modules[name], f.session.outside
    if not of_library(name):
        outside.guard(Is(Item(Const(sys.modules, "sys.modules"), name), module))
    f.stack.append(outside.constant(module, module.__name__))


@handles("IMPORT_FROM")
def import_from(f: Frame, step: Step) -> None:
    f.stack.append(f.session.attributes.load(f.stack[-1], step.arg))


@handles("MAKE_FUNCTION")
def make_function(f: Frame, step: Step) -> None:
    code = f.stack.pop()
    cells = tuple(types.CellType() for _ in code.co_freevars)
    made = types.FunctionType(code, f.globals, code.co_name, None, cells or None)
    made.__qualname__ = code.co_qualname
    f.stack.append(f.session.fresh_function(made))


@handles("SET_FUNCTION_ATTRIBUTE")
def set_function_attribute(f: Frame, step: Step) -> None:
    function, value = f.stack.pop(), f.stack.pop()
    if step.arg == "closure":
        made = types.FunctionType(function.__code__, f.globals, function.__name__, function.__defaults__, value)
        made.__kwdefaults__, made.__annotations__ = function.__kwdefaults__, function.__annotations__
        made.__qualname__ = function.__qualname__
        function = f.session.fresh_function(made)
    elif step.arg == "annotations":
        pairs = iter(value) if isinstance(value, tuple) else None
        function.__annotations__ = value if pairs is None else dict(zip(pairs, pairs, strict=True))
    else:
        setattr(function, f"__{step.arg}__", value)
    f.stack.append(function)


@handles("RETURN_VALUE")
def return_value(f: Frame, step: Step) -> int:
    f.result = f.stack.pop()
    return -1


@handles("YIELD_VALUE")
def yield_value(f: Frame, step: Step) -> int:
    f.result, f.yielded = f.stack.pop(), True
    f.at += 1
    return -1


@handles("RETURN_GENERATOR")
def return_generator(f: Frame, step: Step) -> None:
    f.stack.append(None)


@handles("UNKNOWN")
def unknown(f: Frame, step: Step) -> None:
    raise Break("instruction", f"the instruction {step.arg}")


def settle(x: Any) -> Any:
    """A Lazy value, or a symbolic number, as a plain one."""
    if type(x) is Lazy:
        raise TypeError("a lazy value left its slot")
    return concrete(x)
