"""Variants and entries: the tables that the native routine walks, and their owners. What callers of this package use.

An `Entry` stands for one installed function; a `Variant` is one plan under one set of guards. The newest variant is tried
first. A call that no variant takes goes to the dispatcher with its arguments as they came.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import CompileError
from ...ir.plan import Plan, PlanOutput, errors_of
from ...ir.sizes import evaluate
from ...ir.types import TensorType
from ...runtime import guard as g
from ...runtime import install, layout
from ...runtime.meta import Meta
from ...runtime.source import Source
from . import process
from . import words as w
from .devices import DeviceRows, Launcher
from .frame import Frame
from .guards import GuardRows
from .plans import PlanRows, viewed_by

OnError = Callable[["Variant", tuple[Any, ...], int, int], Any]


def parameters(function: types.FunctionType) -> tuple[str, ...]:
    """Names in the order in which `runtime.source.Arg` numbers them: positional, keyword-only, ``*args``, ``**kwargs``."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[:count]


class Variant:
    """One compiled plan with its guards. `address` is its table, `hits` how many calls it has taken.

    plan          what to run; `code` gives the address of each kernel by name, and is kept alive with `keep`
    guards        all must hold; `sources[i]` is where graph input i comes from (numbers: Python float, int, bool)
    function      the user's function: the variant is valid while its __code__, __defaults__ and __kwdefaults__ stay
    tail          None: the call returns the one output, or a tuple of them; else ``tail(args, outputs)`` of two tuples
    single        whether one output is returned bare (True) or in a tuple
    output_metas  the Meta of each fresh output, None where its shape is known at the call only
    launcher      who runs the plan, where that is a GPU; then there is no `code`
    on_error      ``(variant, args, status, step) -> result`` when a kernel returns nonzero; it should raise

    CompileError where the plan cannot be run natively.
    """

    def __init__(
        self, plan: Plan, code: Any, guards: Sequence[g.Guard], sources: Sequence[Source], function: types.FunctionType,
        *, output_metas: Sequence[Meta | None], output_grads: Sequence[bool] = (), tail: Callable[..., Any] | None = None,
        single: bool = True, on_error: OnError | None = None, keep: Any = None, launcher: Launcher | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.guards, self.function_code = plan, tuple(guards), function.__code__
        self.nparams = len(parameters(function))
        self._next: Variant | None = None
        frame = Frame(self.nparams)
        self._callee(frame, function)
        self.launcher = launcher
        grads = output_grads or [m is not None and m.requires_grad for m in output_metas]
        self._program(frame, plan, code, sources, output_metas, grads, tail is not None, single)
        self._finish(frame)
        self._alive = (frame.keep, code, keep, tail, on_error, output_metas)
        self._words[w.T_OWNER] = id(self)
        self._words[w.T_ON_ERROR] = id(on_error or _no_handler)
        self._words[w.T_TAIL] = id(tail) if tail else 0

    @classmethod
    def of_python(cls, guards: Sequence[g.Guard], function: types.FunctionType, run: Callable[[tuple[Any, ...]], Any]) -> Variant:
        """A variant whose guards are native and whose body is ``run(bound arguments)``: for what has no plan."""
        plan = Plan(function.__name__, (), (), (), (), ())

        def tail(args: tuple[Any, ...], outputs: tuple[Any, ...]) -> Any:
            try:
                return run(args)
            except BaseException as error:  # the traceback is `run`'s to answer for: this entry goes
                error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
                raise

        return cls(plan, {}, guards, [], function, output_metas=[], tail=tail)

    def _callee(self, frame: Frame, function: types.FunctionType) -> None:
        for name in ("__code__", "__defaults__", "__kwdefaults__"):
            value = getattr(function, name)
            if isinstance(value, dict):
                self._keyword_defaults(frame, function, value)
            else:
                frame.row("callee", 0, layout.function_offsets()[name], frame.object(value) if value is not None else 0)

    def _keyword_defaults(self, frame: Frame, function: types.FunctionType, values: dict[str, Any]) -> None:
        """Defaults of keyword-only parameters lie in a dict, which every installed function has of its own."""
        entry = function.__dict__.get(install.KEEP)
        if getattr(entry, "function", None) is not function:
            return
        frame.row("callee", 0, layout.function_offsets()["__kwdefaults__"], frame.object(values))
        for name, value in values.items():
            found = frame.words()
            frame.row("dict_get", found, frame.const(id(values)), frame.object(name))
            frame.row("is", 0, found, frame.object(value))

    def _program(
        self, frame: Frame, plan: Plan, code: Mapping[str, int], sources: Sequence[Source], metas: Sequence[Meta | None],
        grads: Sequence[bool], has_tail: bool, single: bool,
    ) -> None:  # fmt: skip
        guards = GuardRows(frame, self.guards)
        guards.emit(sources)
        if self.launcher is None:
            rows = PlanRows(frame, guards, plan, code, sources)
        else:
            rows = DeviceRows(frame, guards, plan, self.launcher, sources, grads)
        rows.load_inputs()
        rows.begin()
        views = any(o.offset is not None for o in plan.outputs)
        if self.launcher is not None or rows.python_runs or views or any(map(rows.releases, plan.steps)):
            rows.hold_inputs()
        rows.allocate()
        rows.steps()
        at, count = rows.results(metas, grads, lambda n: self._view(plan, n, metas[n], bool(grads[n])))
        if single and count == 1 and not has_tail:
            frame.row("ret", 0, at)
            return
        result = frame.owned()
        frame.row("tuple", result, at, count)
        frame.row("tail" if has_tail else "ret", 0, result)

    def _view(self, plan: Plan, number: int, meta: Meta | None, grad: bool) -> Callable[..., Any]:
        on, out = self.launcher, plan.outputs[number]
        view, device = (process.Classes.view, "cpu") if on is None else (on.view, on.device)
        offset, names = out.offset, viewed_by(out)
        if view is None or (meta is None and not names):
            raise CompileError(f"output {number} is a view of an input, which nobody makes")
        if not names:
            return lambda tensor: view(tensor, meta, offset)  # type: ignore[arg-type]
        made: dict[tuple[int, ...], Any] = {}

        def at_call(tensor: Any, *values: int) -> Any:
            found = made.get(values)
            if found is None:
                if len(made) > w.METAS:
                    made.clear()
                found = made[values] = _placed(out, dict(zip(names, values, strict=True)), grad, device)
            return view(tensor, *found)

        return at_call

    def _finish(self, frame: Frame) -> None:
        rows = np.array(frame.rows, np.int64)
        for accept, row in frame.patches:
            accept(rows[row, 3:4])
        arena_at = frame.arena_at if frame.arena_at is not None else frame.const(0)
        consts = frame.constants()
        table = np.zeros(w.T_WORDS, np.int64)
        table[w.T_CONST_AT] = frame.array([at for at, _ in consts])
        table[w.T_CONSTS] = frame.array([value for _, value in consts])
        table[w.T_NCONSTS] = len(consts)
        table[w.T_OWNED], table[w.T_NOWNED] = frame.array(frame.owned_words), len(frame.owned_words)
        table[w.T_PROGRAM], table[w.T_ARENA_AT] = rows.ctypes.data, arena_at
        table[w.T_HOLD], (table[w.T_BLOCKS], table[w.T_NBLOCKS]) = frame.hold, frame.blocks
        self._words, self._rows, self.frame_words = table, rows, frame.size

    @property
    def address(self) -> int:
        return int(self._words.ctypes.data)

    @property
    def hits(self) -> int:
        """Calls that passed all guards."""
        return int(self._words[w.T_HITS])

    @property
    def guard_text(self) -> str:
        """All guards as one Python expression."""
        return " and ".join(x.expr() for x in self.guards) or "True"

    def failed_guard(self, args: Sequence[Any]) -> g.Guard | None:
        """The first guard that does not hold for these bound arguments, by the Python oracle."""
        number = g.first_failure(self.guards, args)
        return None if number is None else self.guards[number]

    def _follow(self, following: Variant | None) -> None:
        self._words[w.T_NEXT] = following.address if following else 0
        self._next = following  # after the word: the old one may die here

    def __del__(self) -> None:
        arena = int(self._words[w.T_ARENA]) if hasattr(self, "_words") else 0
        if arena:
            self._words[w.T_ARENA] = 0
            layout.decref(arena)


def _placed(out: PlanOutput, values: dict[str, int], grad: bool, device: str) -> tuple[Meta, int]:
    """Meta and offset of an output that is a view, for values of the symbols."""
    type_ = out.type
    assert isinstance(type_, TensorType)
    shape, strides = (tuple(evaluate(n, values) for n in part) for part in (type_.shape, type_.strides))
    return Meta.of(shape, strides, type_.dtype, grad, device), 0 if out.offset is None else evaluate(out.offset, values)


def _no_handler(variant: Variant, args: tuple[Any, ...], status: int, step: int) -> Any:
    error = errors_of(variant.plan.steps[step])[status - 1]
    raise error.kind(error.message)


class Entry:
    """The native side of one compiled function.

    `function` is a copy of the user's function whose calls run the variants; a call that none takes is
    ``dispatcher(*args, **kwargs)``, and its result is the call's. Arguments that do not bind go to the dispatcher too. Once
    the entry is gone the function runs as its own Python code does.
    """

    def __init__(self, function: types.FunctionType, dispatcher: Callable[..., Any]) -> None:
        self.variants: list[Variant] = []
        self._original, self._dispatcher = function, dispatcher
        names = parameters(function)
        code = function.__code__
        varargs, varkw = bool(code.co_flags & inspect.CO_VARARGS), bool(code.co_flags & inspect.CO_VARKEYWORDS)
        named = len(names) - varargs - varkw
        self._binder = make_binder(function) if varkw else None
        self._names = np.array([0 if i < code.co_posonlyargcount else id(n) for i, n in enumerate(names)] or [0], np.int64)
        self._defaults = np.zeros(max(1, named), np.int64)
        table = self._words = np.zeros(w.E_WORDS, np.int64)
        table[w.E_MISS], table[w.E_API] = id(dispatcher), process.api_table()
        table[w.E_NPOS], table[w.E_NPARAMS] = code.co_argcount, len(names)
        table[w.E_NAMES], table[w.E_DEFAULTS] = self._names.ctypes.data, self._defaults.ctypes.data
        table[w.E_BIND] = id(self._binder) if self._binder is not None else 0
        table[w.E_NFRAME] = max(1, len(names))
        table[w.E_PLAIN] = len(names) if code.co_argcount == len(names) else -1
        table[w.E_NNAMED], table[w.E_VARARGS] = named, named if varargs else -1
        table[w.E_VARKW] = len(names) - 1 if varkw else -1
        table[w.E_ORIGINAL] = layout.word(id(parameters) + layout.function_offsets()["vectorcall"])
        self._read_defaults(function)
        # the words outlive this object where someone empties the function's __dict__
        self.function: Any = _thunks().install(function, self.address, self, (table, self._names, self._defaults))

    def __del__(self) -> None:
        if not hasattr(self, "_words"):
            return
        empty = int(self._words[w.E_EMPTY])
        for which in (w.E_MISS, w.E_FIRST, w.E_BIND, w.E_EMPTY):
            self._words[which] = 0
        for which in (w.E_VARARGS, w.E_VARKW):
            self._words[which] = -1
        self._defaults[:] = 0
        if empty:
            layout.decref(empty)

    def _read_defaults(self, function: types.FunctionType) -> None:
        code, found = function.__code__, list(function.__defaults__ or ())
        values = dict(zip(range(code.co_argcount - len(found), code.co_argcount), found, strict=True))
        names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        only = function.__kwdefaults__ or {}
        for i, name in enumerate(names, code.co_argcount):
            if name in only:
                values[i] = only[name]
        self._defaults[:] = 0
        for i, value in values.items():
            self._defaults[i] = id(value)
        self._held, self._read_from = values, _binding_of(function)
        if self._binder is not None:
            self._binder.__defaults__, self._binder.__kwdefaults__ = function.__defaults__, function.__kwdefaults__

    @property
    def address(self) -> int:
        return int(self._words.ctypes.data)

    def add(self, variant: Variant) -> None:
        """Put a variant in front of the others. ValueError where it was made for other parameters."""
        if variant.nparams != int(self._words[w.E_NPARAMS]):
            raise ValueError(f"a variant for {variant.nparams} parameters cannot serve a function of {self._words[w.E_NPARAMS]}")
        if self._read_from != _binding_of(self.function):
            self.clear()  # defaults or code were assigned meanwhile: the other variants belong to the old ones
            self._read_defaults(self.function)
        self._words[w.E_NFRAME] = max(int(self._words[w.E_NFRAME]), variant.frame_words)
        variant._follow(self.variants[0] if self.variants else None)
        self.variants.insert(0, variant)
        self._words[w.E_FIRST] = variant.address
        process.count_variant()

    def clear(self) -> None:
        """Forget all variants; running calls finish."""
        self._words[w.E_FIRST] = 0
        dropped, self.variants = self.variants, []
        del dropped


def _binding_of(function: types.FunctionType) -> tuple[Any, ...]:
    return id(function.__code__), id(function.__defaults__), tuple(map(id, (function.__kwdefaults__ or {}).values()))


def make_binder(function: types.FunctionType) -> Callable[..., tuple[Any, ...]]:
    """A function of the same signature that returns its bound arguments as a tuple; its TypeErrors read as `function`'s."""
    code = function.__code__
    names = parameters(function)
    count, only = code.co_argcount, code.co_kwonlyargcount
    parts = list(names[:count])
    if code.co_posonlyargcount:
        parts.insert(code.co_posonlyargcount, "/")
    rest = list(names[count + only :])
    if code.co_flags & inspect.CO_VARARGS:
        parts.append("*" + rest.pop(0))
    elif only:
        parts.append("*")
    parts += names[count : count + only]
    if rest:
        parts.append("**" + rest[0])
    scope: dict[str, Any] = {}
    exec(f"def bind({', '.join(parts)}): return ({''.join(n + ', ' for n in names)})", scope)
    bind = scope["bind"]
    bind.__defaults__, bind.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    bind.__name__, bind.__qualname__ = function.__name__, function.__qualname__
    return bind  # type: ignore[no-any-return]


_made: list[install.Thunks] = []


def _thunks() -> install.Thunks:
    if not _made:
        _made.append(install.Thunks(process.map_code, w.THUNKS))
    return _made[0]
