"""What an object of the program *is*, as text that another process can compare: code, functions, classes, modules.

Two objects of equal fingerprints behave alike as far as a capture could see without a guard. Objects with content of their own
count by class alone: their content is guarded. Nothing is called and no attribute of the user's is computed here.
"""

from __future__ import annotations

import enum
import os
import sys
import types
import weakref
from typing import Any

import numpy as np

from .store import digest

_OURS = __name__.split(".")[0]
_BY_VALUE = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_DESCRIPTORS = (
    types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.GetSetDescriptorType,
    types.MemberDescriptorType,
)  # fmt: skip
_TRUSTED = {_OURS, "numpy", "ml_dtypes", *sys.stdlib_module_names} - {"__main__"}
_USERS = tuple(f"{_OURS}.{part}" for part in ("bench", "tests", "examples"))
#: entries of a class's namespace that say nothing about behaviour, or differ from run to run
_SKIPPED = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__firstlineno__", "__static_attributes__",
    "__annotations__", "__annotate__", "_abc_impl", "__slotnames__",
}  # fmt: skip


class Opaque(Exception):
    """An object whose content cannot be compared between processes; the message says which."""


def trusted(module: Any) -> bool:
    """Whether a module of this name is named whole by `store.stamp`: the library's, NumPy's or Python's own."""
    return isinstance(module, str) and module.split(".")[0] in _TRUSTED and not module.startswith(_USERS)


def main_name() -> str:
    """What the program's main file is called as a module: a capture serves whether it runs as a script or is imported."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.basename(file).removesuffix(".py") if isinstance(file, str) else "__main__"


def module_name(module: Any) -> Any:
    """The name under which a module is known to other processes."""
    return main_name() if module == "__main__" else module


def module_named(name: str) -> Any:
    """The module that `module_name` calls so; None where it is not loaded."""
    return sys.modules.get(name) or (sys.modules.get("__main__") if name == main_name() else None)


def named(module: Any, qualname: Any) -> Any:
    """What lies under a module's dotted name now; None where nothing does. Imports nothing, calls nothing."""
    found = module_named(module) if isinstance(module, str) else None
    if found is None or not isinstance(qualname, str):
        return None
    for part in qualname.split("."):
        if not isinstance(found, (types.ModuleType, type)):
            return None
        if part not in vars(found):
            return None
        found = vars(found)[part]
    return found


def of_code(code: types.CodeType) -> str:
    """Everything that running, tracing and reporting this code depends on, nested code included."""
    place = id(code)
    known = _codes.get(place)
    if known is not None and known[0]() is code:
        return known[1]
    parts: list[bytes | str] = [code.co_code, code.co_linetable, code.co_exceptiontable]
    parts += [repr(getattr(code, name)) for name in _CODE_FIELDS]
    parts += [_constant(x) for x in code.co_consts]
    made = digest(*parts)
    _codes[place] = weakref.ref(code, lambda _: _codes.pop(place, None)), made
    return made


_codes: dict[int, tuple[weakref.ref[types.CodeType], str]] = {}
_CODE_FIELDS = (
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_names", "co_varnames", "co_freevars", "co_cellvars",
    "co_name", "co_qualname", "co_filename", "co_firstlineno", "co_stacksize", "co_nlocals",
)  # fmt: skip


def _constant(x: Any) -> str:
    """A constant of code; sets in an order that does not hang on the process."""
    if isinstance(x, types.CodeType):
        return "code " + of_code(x)
    if type(x) is tuple:
        return f"tuple({', '.join(map(_constant, x))})"
    if type(x) is frozenset:
        return f"frozenset({', '.join(sorted(map(_constant, x)))})"
    if type(x) in _BY_VALUE:
        return f"{type(x).__name__} {x!r}"
    code = getattr(x, "code", None)
    if isinstance(code, types.CodeType):  # the user's code behind a resume function, and where it is entered
        return f"{type(x).__name__} {of_code(code)} {getattr(x, 'hidden', '')}"
    raise Opaque(f"a constant of type {type(x).__name__} in code")


def of(x: Any, deep: bool = False) -> str:
    """The fingerprint of `x`. `deep`: nothing of it is guarded, so defaults and cells of functions count by value, and an object
    with content of its own is Opaque."""
    if type(x) in _BY_VALUE:
        return f"{type(x).__name__} {x!r}"
    if isinstance(x, types.FunctionType):
        return _function(x, deep)
    if isinstance(x, type):
        return of_class(x)
    if isinstance(x, types.ModuleType):
        return f"module {module_name(x.__name__)}"
    if isinstance(x, types.CodeType):
        return "code " + of_code(x)
    if isinstance(x, (property, staticmethod, classmethod)):
        return _wrapper(x)
    return _native(x, deep)


def _function(x: types.FunctionType, deep: bool) -> str:
    module, name = x.__module__, x.__qualname__
    if trusted(module) and trusted(x.__globals__.get("__name__")) and named(module, name) is x:
        return f"function {module}.{name}"
    text = f"function {of_code(x.__code__)} in {module_name(x.__globals__.get('__name__'))}"
    if not deep or x in _under_way:
        return text
    _under_way.append(x)
    try:
        return f"{text} with {digest(*[of(part, True) for part in _held(x)])}"
    finally:
        _under_way.pop()


def _held(x: types.FunctionType) -> list[Any]:
    """What a function holds beside its code."""
    parts = [*(x.__defaults__ or ()), *(part for pair in sorted((x.__kwdefaults__ or {}).items()) for part in pair)]
    for cell in x.__closure__ or ():
        try:
            parts.append(cell.cell_contents)
        except ValueError:
            parts.append("an empty cell")
    return parts


def _wrapper(x: Any) -> str:
    if isinstance(x, property):
        parts = [x.fget, x.fset, x.fdel]
    else:
        parts = [x.__func__]
    return f"{type(x).__name__} {digest(*[of(part, True) for part in parts])}"


def _native(x: Any, deep: bool) -> str:
    cls = type(x)
    if isinstance(x, _DESCRIPTORS):
        return f"{cls.__name__} {of_class(x.__objclass__)}.{x.__name__}"
    if isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType)):
        owner = getattr(x, "__self__", None)
        inner = owner.__name__ if isinstance(owner, (types.ModuleType, type)) else type(owner).__name__
        return f"builtin {inner}.{x.__name__}"
    if isinstance(x, enum.Enum):
        return f"enum {of_class(cls)}.{x.name} {of(x.value, True)}"
    if isinstance(x, (np.dtype, types.GenericAlias, types.UnionType)):
        return f"{cls.__name__} {x!r}"
    if cls in (tuple, frozenset):
        parts = [of(part, deep) for part in x]
        return f"{cls.__name__} {digest(*(parts if cls is tuple else sorted(parts)))}"
    if cls is dict and "__name__" in x and "__builtins__" in x:
        return f"namespace {module_name(x['__name__'])}"
    if isinstance(x, types.MethodType) and deep:
        return f"method {of(x.__func__, True)} of {of(x.__self__, True)}"
    library = trusted(cls.__module__) and getattr(x, "name", None) is not None and cls.__name__ in ("Op", "DType")
    if library:
        return f"{cls.__name__} {x.name}"
    if cls.__module__.startswith("triton.runtime."):
        return _kernel(x)
    if deep:
        raise Opaque(f"an object of type {cls.__name__} that no guard covers")
    return f"object of {of_class(cls)}"


#: kernels whose fingerprints were asked for, by Triton's key: a capture from disk knows its own by nothing else
kernels: dict[str, Any] = {}


def _kernel(x: Any) -> str:
    """A kernel that the user has written for Triton, by its code and that of all it calls; what tunes it, by what there is to
    choose from."""
    if hasattr(x, "cache_key"):
        kernels[x.cache_key] = x
        return f"kernel {x.cache_key}"
    inner = getattr(x, "fn", None)
    if inner is None or inner is x:
        raise Opaque(f"an object of type {type(x).__name__} of Triton's")
    choices = [str(c) for c in getattr(x, "configs", ())]
    return f"{type(x).__name__} {digest(*choices, str(getattr(x, 'keys', '')))} of {_kernel(inner)}"


def of_class(cls: type) -> str:
    """A class by name and, where it is the user's, by what its namespace and those of its bases hold."""
    if trusted(cls.__module__):
        found = named(cls.__module__, cls.__qualname__) is cls
        return f"class {cls.__module__}.{cls.__qualname__}" + ("" if found else _own(cls))
    return f"class {class_name(cls)} {_own(cls)}"


def class_name(cls: type) -> str:
    """Module and name."""
    return f"{module_name(cls.__module__)}.{cls.__qualname__}"


def _own(cls: type) -> str:
    """The bases and the content of namespaces that the program may have changed. A class being looked at counts by name."""
    if cls in _under_way:
        return "itself"
    _under_way.append(cls)
    try:
        made_by: Any = type(cls)
        bases: list[type] = [*cls.__mro__, *made_by.__mro__]
        parts = [class_name(base) for base in bases]
        for base in bases:
            if not trusted(base.__module__):
                parts += [f"{name}: {_entry(value)}" for name, value in sorted(vars(base).items()) if name not in _SKIPPED]
        return digest(*parts)
    finally:
        _under_way.pop()


_under_way: list[Any] = []  # functions and classes being looked at


def _entry(value: Any) -> str:
    """One entry of a class's namespace. What is looked at while tracing has a guard; its class says the rest."""
    try:
        if isinstance(value, type):
            return f"class {class_name(value)}"
        if isinstance(value, _DESCRIPTORS):
            return f"{type(value).__name__} {value.__name__}"
        return of(value)
    except Opaque as unknown:
        return str(unknown)

