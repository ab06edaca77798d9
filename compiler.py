"""``@compile`` and the namespace ``fusewire.compiler``: what is compiled, how, and when not. Capture is in `tracer`, the native
entry in `entrance`, `explain` in `explanations`, code generation behind `pipeline`.

@fusewire.compile            a function, also a method inside of its class
fusewire.compile(model)      a Module, or an object with a ``__call__``: a twin that shares its state
model.compile()              a Module, in place
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import knobs
from .eager import hot
from .eager.modes import capturing
from .logs import set_logs
from .runtime import dispatchers
from .runtime.install import copy_function, original_of
from .tracer import stance
from .tracer.dispatch import Dispatcher, Options, entry_of, is_capturing
from .tracer.special import SPECIAL

if TYPE_CHECKING:
    from .explanations import STAGES, Report, cache_events, explain, stage_texts  # (`__getattr__` below gives them)
    from .tracer.captured import Capture
    from .tracer.policy import mark_dynamic, mark_static
    from .tracer.userbackend import UserBackend

F = TypeVar("F", bound=Callable[..., Any])
_DISPATCHER = "__fusewire_dispatcher__"
_twins: weakref.WeakKeyDictionary[type, tuple[type, Options]] = weakref.WeakKeyDictionary()
#: modes that mean the same here: calls are native and kernels fused in each
MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "strict")
BACKENDS = ("cpu", "reference", "interpret", "eager")
_ALIASES = {"default": "cpu", "inductor": "cpu"}
#: knobs that `options` of one function may set
OPTIONS = ("variant_limit", "constant_limit", "inline_limit", "verify", "pass_limit", "disk_cache", "native_entry", "debug")


@overload
def compile(
    fn: F, /, *, fullgraph: bool = ..., dynamic: bool | None = ..., backend: str | UserBackend = ..., mode: str | None = ...,
    options: Mapping[str, Any] | None = ..., disable: bool = ...,
) -> F: ...  # fmt: skip


@overload
def compile(
    fn: None = None, /, *, fullgraph: bool = ..., dynamic: bool | None = ..., backend: str | UserBackend = ...,
    mode: str | None = ..., options: Mapping[str, Any] | None = ..., disable: bool = ...,
) -> Callable[[F], F]: ...  # fmt: skip


def compile(
    fn: Any = None, /, *, fullgraph: bool = False, dynamic: bool | None = None, backend: str | UserBackend = "cpu",
    mode: str | None = None, options: Mapping[str, Any] | None = None, disable: bool = False,
) -> Any:  # fmt: skip
    """A compiled form of a function, method or Module that behaves as the original does, on every call.

    `fullgraph`: GraphBreakError in place of a graph break. `dynamic`: which sizes of Tensors one variant serves at any value:
    None those that have differed between calls, True all from the first call on (but those of Parameters), False none; see
    `mark_dynamic`, `mark_static`. `backend`: a name of `list_backends` ("cpu"; "reference", kernels in NumPy; "interpret", the
    graph in NumPy; "eager", the graph as eager ops), or a function as `register_backend` takes. `mode`: on a
    GPU "reduce-overhead" records launches and runs them as one; "max-autotune" does that with blocks that are measured at first
    need and kept with the cache (gpu-choices.txt), "max-autotune-no-cudagraphs" measures alone; on a CPU all three mean
    "default". "strict" gives eager's results to the last bit, by running the graph as eager ops, unfused. `options`: knobs that
    hold while this function is compiled, e.g. ``{"variant_limit": 8}`` (see `OPTIONS`). `disable`: give the function
    back as it is.

    A debugger, coverage tool or `sys.settrace` sees no lines of calls that compiled code serves. Captures of all threads take
    turns; calls need no lock. A generator or coroutine function runs uncompiled. TypeError for what cannot be called, and for a
    class; ValueError for a name that is none.
    """
    if fn is None:
        return functools.partial(
            compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable
        )
    made = _options(fullgraph=fullgraph, dynamic=dynamic, mode=mode, backend=backend, options=options)
    return fn if disable else _compiled(fn, made)


def _options(
    *, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None, backend: str | UserBackend = "cpu",
    options: Mapping[str, Any] | None = None, seen: list[Dispatcher] | None = None,
) -> Options:  # fmt: skip
    if mode is not None and mode not in MODES:
        raise ValueError(f"no mode {mode!r}; there are {', '.join(map(repr, MODES))}")
    if dynamic not in (None, True, False):
        raise TypeError(f"dynamic is None, True or False, not {dynamic!r}")
    chosen = _backend(backend)
    if mode == "strict":
        if chosen not in ("cpu", "eager"):
            raise ValueError(f"mode 'strict' runs the graph as eager ops, not on back end {backend!r}")
        chosen = "eager"
    return Options(fullgraph, dynamic, mode, chosen, seen, _native_side, _stored_code, _checked(options))


def _backend(asked: Any) -> Any:
    """A built-in back end's name, or a user's function."""
    if callable(asked):
        return asked
    name = _ALIASES.get(asked, asked)
    if name in BACKENDS:
        return name
    from .tracer.userbackend import registered

    known = registered()
    if name not in known:
        raise ValueError(f"no back end {asked!r}; there are {', '.join(list_backends())}")
    return known[name]


def _checked(options: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """`options` as pairs, each the value of a knob that one function can have for itself."""
    for name, value in (options or {}).items():
        if name not in OPTIONS:
            why = "is set for the whole process (fusewire.knobs)" if name in knobs.KNOBS else "is no knob"
            raise ValueError(f"options: {name!r} {why}; a function of its own can have {', '.join(OPTIONS)}")
        if type(value) is not type(knobs.KNOBS[name].default):
            raise TypeError(f"options: {name} takes a {type(knobs.KNOBS[name].default).__name__}, not {value!r}")
    return tuple(sorted((options or {}).items()))


def is_module(fn: Any) -> bool:
    """Whether `fn` is a Module, none of which there is before its class is loaded."""
    loaded = sys.modules.get(f"{__package__}.nn.module")
    return loaded is not None and isinstance(fn, loaded.Module)


def _native_side(dispatcher: Dispatcher) -> Any:
    if not dict(dispatcher.options.knobs).get("native_entry", knobs.native_entry):
        return None
    from .entrance import native_side

    return native_side(dispatcher)


def _stored_code(names: dict[str, str], key: str) -> Any:
    from .backends.kept import Kernels

    return Kernels(names, key)


# -- what is compiled ------------------------------------------------------------------------------------------------------


def _compiled(fn: Any, options: Options) -> Any:
    if getattr(fn, "__fusewire_disabled__", False) is True:
        return fn
    if is_module(fn):
        return _twin(fn, options)
    if isinstance(fn, types.MethodType):
        return types.MethodType(_compiled(fn.__func__, options), fn.__self__)
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(_compiled(fn.__func__, options))
    if type(fn) is property:
        return property(fn.fget and _compiled(fn.fget, options), fn.fset, fn.fdel, fn.__doc__)
    if type(fn) is functools.partial:
        made = functools.partial(_compiled(fn.func, options), *fn.args, **fn.keywords)
        made.__dict__.update(fn.__dict__)
        return made
    if isinstance(fn, types.FunctionType):
        return _entry(original_of(fn) or fn, options)
    if isinstance(fn, type) or not callable(fn):
        raise TypeError(f"compile takes a function, a method or a Module, not {fn!r}")
    call = _call_of(type(fn))
    if isinstance(call, types.FunctionType):
        return _twin(fn, options) if _can_have_twin(fn) else types.MethodType(_entry(call, options), fn)
    return fn  # a built-in function: nothing to capture


def _entry(function: types.FunctionType, options: Options) -> Any:
    return entry_of(Dispatcher(function, options))


def _call_of(cls: Any) -> Any:
    """What the class does at a call; None where it has nothing of the kind."""
    return next((vars(base)["__call__"] for base in cls.__mro__ if "__call__" in vars(base)), None)


def _can_have_twin(fn: Any) -> bool:
    """Whether all that an object is lies in its dict and its class."""
    plain = not any("__new__" in vars(cls) for cls in type(fn).__mro__[:-1])
    slots = any(vars(cls).get("__slots__") for cls in type(fn).__mro__)
    return plain and not slots and hasattr(fn, "__dict__") and type(fn).__basicsize__ <= _Bare.__basicsize__


class _Bare:
    """The size of an object with a dict and nothing else."""


def _twin(thing: Any, options: Options) -> Any:
    """An object of a subclass of the thing's class, of the same name, whose call is compiled and whose state is the thing's."""
    made: Any = object.__new__(_twin_class(type(thing), options))
    object.__setattr__(made, "__dict__", vars(thing))
    return made


def _twin_class(cls: type, options: Options) -> type:
    """A subclass of the same name, or of the class that such a one was made of, with a compiled ``__call__``."""
    cls = _twins[cls][0] if cls in _twins else cls
    call = _entry(_plain_function(cls.__call__), options)
    names = {"__call__": call, "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__,
             "__reduce_ex__": _reduce_twin}  # fmt: skip
    made_by: Any = type(cls)
    sub: type = made_by(cls.__name__, (cls,), names)
    _twins[sub] = cls, options
    return sub


def _plain_function(call: Any) -> types.FunctionType:
    found = original_of(call) or call
    if not isinstance(found, types.FunctionType):
        raise TypeError(f"__call__ of a Module must be a Python function to be compiled, not {call!r}")
    return found


def _reduce_twin(self: Any, protocol: Any) -> tuple[Any, ...]:
    """Pickles and copies as "the plain class, compiled again with these options"."""
    cls, options = _twins[type(self)]
    return _remake_twin, (cls, options), dict(vars(self))


def _remake_twin(cls: type, options: Options) -> Any:
    return _twin(object.__new__(cls), options)


def compile_in_place(module: Any, **options: Any) -> None:
    """``module.compile(...)``: from now on calls of this very Module are compiled, with the options of `compile`."""
    object.__setattr__(module, "__class__", _twin_class(type(module), _options(**options)))


# -- the namespace fusewire.compiler ---------------------------------------------------------------------------------------


class _Disabling:
    """``disable()``: a context manager in which nothing compiled runs, and a decorator."""

    def __init__(self, reason: str | None) -> None:
        self.reason = reason

    def __enter__(self) -> None:
        stance.disable(1)

    def __exit__(self, *exc: object) -> None:
        stance.disable(-1)

    def __call__(self, fn: F) -> F:
        return disable(fn, reason=self.reason)  # type: ignore[no-any-return]


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """A form of a function (or a Module, in place) that always runs under CPython; a compiled caller breaks its graph there.

    Also ``@disable``, ``@disable(recursive=False)`` and ``with disable():``, in which nothing compiled runs, in any thread.
    What the function calls runs under CPython as well, unless that is compiled on its own; so `recursive` changes nothing.
    `reason` is told where a graph breaks.
    """
    if fn is None:
        return _Disabling(reason)
    if is_module(fn):
        object.__setattr__(fn, "__class__", _disabled_class(type(fn), reason))
        return fn
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(disable(fn.__func__, reason=reason))
    if isinstance(fn, types.MethodType):
        return types.MethodType(disable(fn.__func__, reason=reason), fn.__self__)
    if isinstance(fn, type) or not callable(fn):
        raise TypeError(f"disable takes a function, a method or a Module, not {fn!r}")
    made: Any = copy_function(original_of(fn) or fn) if isinstance(fn, types.FunctionType) else _calling(fn)
    made.__dict__.pop(_DISPATCHER, None)
    made.__fusewire_disabled__, made.__fusewire_reason__ = True, reason
    return made


def _calling(fn: Any) -> Any:
    """A function that calls the object `fn`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return functools.update_wrapper(call, fn)


def _disabled_class(cls: type, reason: str | None) -> type:
    cls = _twins[cls][0] if cls in _twins else cls
    call = disable(_plain_function(cls.__call__), reason=reason)
    names = {"__call__": call, "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    made_by: Any = type(cls)
    sub: type = made_by(cls.__name__, (cls,), names)
    return sub


class set_stance:
    """What compiled functions do in this process: ``set_stance(name)`` from now on, ``with set_stance(name):`` for a block,
    ``@set_stance(name)`` for each call of a function. Names: "default", "force_eager" (run under CPython), "eager_on_recompile"
    (what would compile runs under CPython) and "fail_on_recompile" (it raises RecompileError). ValueError for another."""

    def __init__(self, name: str) -> None:
        self.name, self.former, self.fresh = name, stance.chosen(), True
        self.before: list[str] = []
        stance.choose(name)

    def __enter__(self) -> None:
        self.before.append(self.former if self.fresh else stance.chosen())
        self.fresh = False
        stance.choose(self.name)

    def __exit__(self, *exc: object) -> None:
        stance.choose(self.before.pop())

    def __call__(self, fn: F) -> F:
        if self.fresh:
            stance.choose(self.former)  # decorating is no setting
            self.fresh = False
        name = self.name

        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with set_stance(name):
                return fn(*args, **kwargs)

        return disable(wrapped)  # type: ignore[no-any-return]


class error_on_graph_break:
    """``with error_on_graph_break(True):`` (or as a decorator): what compiles in the block, on this thread, raises at a graph
    break, or with False does not, whatever `fullgraph` says."""

    def __init__(self, error: bool) -> None:
        self.error = bool(error)

    def __enter__(self) -> None:
        stance.push_strictly(self.error)

    def __exit__(self, *exc: object) -> None:
        stance.pop_strictly()

    def __call__(self, fn: F) -> F:
        error = self.error

        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with error_on_graph_break(error):
                return fn(*args, **kwargs)

        return disable(wrapped)  # type: ignore[no-any-return]


for _changing in (
    set_stance.__init__, set_stance.__enter__, set_stance.__exit__, _Disabling.__enter__, _Disabling.__exit__,
    error_on_graph_break.__enter__, error_on_graph_break.__exit__,
):  # fmt: skip
    vars(_changing)["__fusewire_disabled__"] = True  # a capture must not see them half done


def is_compiling() -> bool:
    """True inside of a function that is being captured, False in eager code."""
    return is_capturing()


SPECIAL[is_compiling] = lambda session: True
SPECIAL[capturing] = lambda session: True


def reset() -> None:
    """Forget all compiled variants of all functions, and what hot eager ops were compiled to; the next calls compile again."""
    dispatchers.forget_all()
    hot.forget()


def allow_in_graph(fn: Any) -> Any:
    """Mark a function (or each of a list): a capture runs it as it is on the graph's tensors, without following its bytecode, and
    guards nothing that it reads. It must do nothing but tensor operations on its arguments. Also a decorator."""
    if isinstance(fn, (list, tuple)):
        return [allow_in_graph(f) for f in fn]
    if not isinstance(fn, types.FunctionType):
        raise TypeError(f"allow_in_graph takes a Python function, not {fn!r}")
    from .eager.pure import pure

    return pure(fn)


def list_backends() -> list[str]:
    """The names that `backend` takes: "cpu" (also "default"), those of the interpreters, and what is registered."""
    from .tracer.userbackend import registered

    return [*BACKENDS, "default", *sorted(registered())]


def register_backend(backend: Any = None, /, *, name: str | None = None) -> Any:
    """Make a function a back end, under its own name or `name`; also a decorator. It is called with a graph (`ir.graph.Graph`: it
    prints; `interpreter` runs it) and example inputs, once for each graph, backward graphs too, and returns a function that takes
    the inputs and returns one Tensor per output. ValueError where the name is taken."""
    if backend is None:
        return functools.partial(register_backend, name=name)
    from .tracer.userbackend import register

    chosen = name or backend.__name__
    if chosen in (*BACKENDS, *_ALIASES):
        raise ValueError(f"{chosen!r} is a back end of fusewire's own")
    register(chosen, backend)
    return backend


def cudagraph_mark_step_begin() -> None:
    """Nothing: results never share memory with those of a later call here, so no step has to be marked."""


def is_exporting() -> bool:
    """False: an export is a capture like any other."""
    return False


def assume_constant_result(fn: Any) -> Any:
    """`fn`: what it reads is guarded, which is safer than to assume."""
    return fn


def variants_of(fn: Any) -> tuple[Capture, ...]:
    """The captures of a compiled function, in the order they were made."""
    return tuple(v.capture for v in dispatcher_of(fn).variants)


def dispatcher_of(fn: Any) -> Dispatcher:
    """What stands behind a compiled function or Module."""
    fn = type(fn).__call__ if is_module(fn) or type(fn) in _twins else getattr(fn, "__func__", fn)
    found = getattr(fn, _DISPATCHER, None)
    if found is None or found.installed is not fn:
        raise TypeError(f"{fn!r} is not compiled")
    return found  # type: ignore[no-any-return]


_EXPLAINED = ("STAGES", "Report", "cache_events", "explain", "stage_texts")


def __getattr__(name: str) -> Any:
    if name in ("mark_dynamic", "mark_static"):
        from .tracer import policy

        return getattr(policy, name)
    if name == "is_dynamo_compiling":
        return is_compiling
    if name == "interpreter":
        from .tracer.userbackend import interpreter

        return interpreter
    if name in _EXPLAINED:
        return getattr(importlib.import_module(f"{__package__}.explanations"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BACKENDS", "MODES", "OPTIONS", "STAGES", "Report", "allow_in_graph", "cache_events", "compile", "cudagraph_mark_step_begin",
    "disable", "error_on_graph_break", "explain", "is_compiling", "knobs", "list_backends", "mark_dynamic", "mark_static",
    "register_backend", "reset", "set_logs", "set_stance", "stage_texts",
]  # fmt: skip
