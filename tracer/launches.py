"""Launches of users' Triton kernels inside captured code: one call of the op `launched` each, without a graph break.

A kernel sees memory: an operand is all the memory of a traced Tensor's storage, a pointer argument an offset into it, and what
the kernel writes, by Triton's IR, becomes the storage's new value. So arguments that overlap are what they are eagerly, and what
a kernel leaves alone keeps its values. Imports Triton's modules only where a kernel is at hand; launches nothing but to choose
among the configurations of `triton.autotune`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..eager import user_kernels
from ..eager.batching import BatchStorage
from ..eager.tensor import Tensor
from ..errors import CompileError
from ..ir.graph import Value
from ..ir.ops import launches as record
from ..ir.ops.shape import permute
from ..ir.types import TensorType
from ..runtime.guard import Is, LengthIs
from ..runtime.source import Attr, Const, Item
from .breaks import Break, describe, subject
from .symbols import SizeInt, raw
from .values import SYMBOLIC, SymFloat, concrete

if TYPE_CHECKING:
    from .session import Session
    from .traced import TracedStorage

#: options of Triton's that a launch of ours obeys; those with one value are taken where they have it
_OPTIONS = {"num_warps", "num_stages", "enable_fp_fusion", "maxnreg", "allowed_dot_input_precisions"}
_USUAL = {"num_ctas": 1, "launch_cooperative_grid": False, "launch_pdl": False, "debug": False, "ir_override": None}
_DIMENSIONS = 3


def launches(fn: Any) -> bool:
    """Whether a function is Triton's own code that compiles and launches a kernel: following it would tie the capture to the
    state of its caches."""
    return str(fn.__module__).startswith("triton.runtime.") and fn.__name__ not in ("__getitem__", "<lambda>")


def call(s: Session, run: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A call of such a function. Breaks where a graph cannot have it."""
    for frame in s.frames:
        frame.library = frame.library or _of_triton(frame.function)  # the user's line is the one that launches
    jit, tuner = sys.modules["triton.runtime.jit"], sys.modules["triton.runtime.autotuner"]
    if run is vars(jit.ConstexprFunction)["__call__"]:
        _same(s, args[0], args[0].__name__)
        return s.call(args[0].fn, tuple(args[1:]), kwargs)
    if run is vars(tuner.Heuristics)["run"]:
        return s.inline(run, args, kwargs)
    if run is vars(tuner.Autotuner)["run"] and not kwargs.get("warmup"):
        return _tuned(s, args[0], args[1:], kwargs)
    if run is vars(jit.JITFunction)["run"] and not kwargs.get("warmup") and not args[0].is_gluon():
        return _Launch(s, args[0]).record(args[1:], kwargs)
    raise Break("c-function", f"a launch of a Triton kernel, by {subject(describe(run))}")


def _of_triton(fn: Any) -> bool:
    return str(fn.__module__).startswith("triton.")


def _refused(kernel: Any, why: str) -> Break:
    return Break("c-function", f"a launch of the Triton kernel {kernel.__name__}, {why}")


def _same(s: Session, thing: Any, name: str) -> None:
    """Guard that `thing`, which leads to a kernel, is the same object."""
    source = s.outside.source_of(thing)
    if source is None:
        s.outside.constant(thing, name)
    else:
        s.outside.guard(Is(source, thing))


# -- configurations ----------------------------------------------------------------------------------------------------


def _tuned(s: Session, tuner: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A launch by the configuration that Triton's tuner has, or now measures, for such arguments."""
    _same(s, tuner, tuner.base_fn.__name__)
    config = tuner.configs[0] if len(tuner.configs) == 1 or record.looking() else _best(s, tuner, args, kwargs)
    given = {**dict(zip(tuner.arg_names, args, strict=False)), **kwargs, **config.all_kwargs()}
    if config.pre_hook is not None:
        s.call(config.pre_hook, (given,))
    inner = s.attributes.load(tuner, "fn")
    return s.call(s.attributes.load(inner, "run"), tuple(args), {**kwargs, **config.all_kwargs()})


def _best(s: Session, tuner: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Measured on zeros laid out as the arguments. Which configuration is best is no part of what a kernel computes: no number
    is fixed by it."""
    given = {**dict(zip(tuner.arg_names, args, strict=False)), **kwargs}
    known = {name: x for name, x in given.items() if name in tuner.arg_names}
    key = [_plain(known[name]) for name in tuner.keys if name in known]
    key += [str(x.dtype) for x in known.values() if hasattr(x, "dtype")]
    if tuple(key) not in tuner.cache:
        zeros: dict[int, Any] = {}

        def real(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return _plain(x)
            if id(x) not in zeros:
                kind = x.meta.type
                zeros[id(x)] = user_kernels.stand_in(s.recorder.device, raw(kind.shape), raw(kind.strides), kind.dtype)
            return zeros[id(x)]

        def grid(meta: dict[str, Any]) -> tuple[int, ...]:
            found = kwargs["grid"]
            found = s.call(found, ({**meta, **known},)) if callable(found) else found
            return tuple([int(raw(n)) for n in found])

        if not s.recorder.device.startswith("cuda"):
            raise _refused(tuner.base_fn, f"whose tensors lie on {s.recorder.device}")
        others = {name: real(x) for name, x in kwargs.items() if name != "grid"}
        try:
            user_kernels.measured(tuner, [real(x) for x in args], {**others, "grid": grid})
        except Exception as error:
            raise _refused(tuner.base_fn, f"whose configurations cannot be measured: {error}") from None
    tuner.best_config = tuner.cache[tuple(key)]
    return tuner.best_config


def _plain(x: Any) -> Any:
    """A number as it is now, of which the guards say nothing."""
    return x.raw if type(x) in SYMBOLIC else x


# -- one launch --------------------------------------------------------------------------------------------------------


class _Launch:
    """What is recorded of one launch, argument by argument. `memory`: the storages, by operand."""

    def __init__(self, s: Session, kernel: Any) -> None:
        self.s, self.kernel = s, kernel
        self.operands: list[Any] = []
        self.layouts: list[tuple[Any, ...]] = []
        self.memory: list[tuple[TracedStorage, tuple[int, ...]] | None] = []
        self.pointers: list[tuple[int, int]] = []
        self.words: list[Any] = []
        self.places: list[tuple[Any, ...]] = []

    def record(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Emit the call, and store what it writes."""
        kernel, s = self.kernel, self.s
        self._check()
        given, options = self._bound(args, kwargs)
        for parameter in kernel.params:
            self._argument(parameter, given[parameter.name])
        if not s.recorder.device.startswith("cuda") and not record.looking():
            raise _refused(kernel, f"whose tensors lie on {s.recorder.device}")
        grid = self._grid(kwargs["grid"], given)
        if not s.outside.policy.compiles:
            raise _refused(kernel, "where the graph's ops run one by one")
        name = user_kernels.entered(kernel)
        written = self._written(name, options)
        attrs = {
            "kernel": name, "grid": grid, "places": tuple(self.places), "pointers": tuple(self.pointers),
            "words": tuple(self.words), "layouts": tuple(self.layouts), "written": written, "options": tuple(options.items()),
        }  # fmt: skip
        if not written:
            return
        made = s.native(s.recorder._emit, record.launched, tuple(self.operands), attrs)
        for operand, value in zip(written, made if isinstance(made, tuple) else (made,), strict=True):
            self._store(operand, value)

    # -- arguments

    def _check(self) -> None:
        """Guard the kernel and the globals that it uses."""
        kernel, source = self.kernel, self.s.outside.source_of(self.kernel)
        _same(self.s, kernel, kernel.__name__)
        if kernel.pre_run_hooks:
            raise _refused(kernel, "which has hooks")
        if source is not None:
            self.s.outside.guard(LengthIs(Attr(source, "pre_run_hooks"), 0))
        if kernel.debug or sys.modules["triton.runtime.jit"].knobs.runtime.debug:
            raise _refused(kernel, "which is to be debugged")
        try:
            _ = kernel.cache_key
        except Exception as error:
            raise _refused(kernel, f"of which Triton says: {error}") from None
        for (name, _), (value, namespace) in kernel.used_global_vals.items():
            if name not in namespace or namespace[name] != value:
                raise _refused(kernel, f"whose global {name} has changed")
            self.s.outside.guard(Is(Item(Const(namespace, "globals"), name), namespace[name]))

    def _bound(self, args: list[Any], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(arguments by name, options)."""
        kernel, names = self.kernel, set(self.kernel.arg_names)
        try:
            bound = kernel.signature.bind(*args, **{k: v for k, v in kwargs.items() if k in names})
        except TypeError as error:
            raise _refused(kernel, f"with arguments that do not fit: {error}") from None
        bound.apply_defaults()
        options = {}
        for name, x in kwargs.items():
            if name in names or name in ("grid", "warmup"):
                continue
            value = concrete(x)
            if name in _OPTIONS and isinstance(value, (int, type(None))):
                options[name] = value
            elif name not in _USUAL or value != _USUAL[name]:
                raise _refused(kernel, f"with {name}={value!r}")
        return bound.arguments, {k: v for k, v in sorted(options.items()) if v is not None}

    def _grid(self, grid: Any, given: dict[str, Any]) -> tuple[Any, ...]:
        if callable(grid):
            grid = self.s.call(grid, (dict(given),))
        if not isinstance(grid, (tuple, list)) or not 0 < len(grid) <= _DIMENSIONS:
            raise _refused(self.kernel, f"with the grid {grid!r}")
        counts = [x if isinstance(x, SizeInt) else concrete(x) for x in grid]
        if not all(isinstance(x, int) for x in counts):
            raise _refused(self.kernel, f"with the grid {grid!r}")
        return (*counts, *(1,) * (_DIMENSIONS - len(counts)))

    def _argument(self, parameter: Any, x: Any) -> None:
        name, stated = parameter.name, parameter.annotation_type
        if isinstance(x, Tensor):
            if parameter.is_constexpr:
                raise _refused(self.kernel, f"whose constant {name} is a tensor")
            self._pointer(parameter, x)
        elif parameter.is_constexpr or x is None or _is_function(x) or type(x).__name__ in ("constexpr", "dtype"):
            self.places.append((name, *self._constant(name, x)))
        elif isinstance(x, bool):
            self._number(name, int(x), False, False, stated or "u1")
        elif isinstance(x, int):
            wide = parameter.do_not_specialize
            whole = not wide and not parameter.do_not_specialize_on_alignment
            self._number(name, x if isinstance(x, SizeInt) else concrete(x), not wide, whole, stated)
        elif isinstance(x, float) and stated in ("", "fp32", "fp64"):
            operand = self.s.recorder.scalar(x) if type(x) is SymFloat else concrete(x)
            self.places.append((name, "number", self._operand(operand, ()), stated or "fp32"))
        else:
            raise _refused(self.kernel, f"with {describe(x)} for {name}")

    def _operand(self, x: Any, layout: tuple[Any, ...], memory: Any = None) -> int:
        self.operands.append(x)
        self.layouts.append(layout)
        self.memory.append(memory)
        return len(self.operands) - 1

    def _word(self, number: Any) -> int:
        self.words.append(number)
        return len(self.words) - 1

    def _number(self, name: str, number: Any, one: bool, whole: bool, kind: str) -> None:
        if not isinstance(number, SizeInt) and not -(2**63) <= number < 2**63:
            raise _refused(self.kernel, f"with {number} for {name}")
        self.places.append((name, "size", self._word(number), one, whole, kind))

    def _constant(self, name: str, x: Any) -> tuple[str, Any]:
        x = concrete(x)
        x = x.value if type(x).__name__ == "constexpr" else x
        if x is None or isinstance(x, (bool, int, float, str)):
            return "value", x
        if _is_function(x):
            _same(self.s, x, name)
            return "kernel", user_kernels.entered(x)
        if type(x).__module__.startswith("triton.language") and type(x).__name__ == "dtype":
            return "type", x.name
        raise _refused(self.kernel, f"with {describe(x)} for {name}")

    # -- memory

    def _pointer(self, parameter: Any, x: Any) -> None:
        recorder = self.s.recorder
        if isinstance(x._storage, BatchStorage):
            raise _refused(self.kernel, f"with members of a batch for {parameter.name}")
        if x._storage is None or getattr(x._storage, "recorder", None) is not recorder:
            x = recorder.adopt(x)
        recorder.value_of(x)
        kind = parameter.annotation_type or user_kernels.pointer_type(x.meta.dtype.name)
        if not kind.startswith("*"):
            raise _refused(self.kernel, f"with a tensor of {x.meta.dtype} for {parameter.name}")
        offset = x._offset or 0
        self.pointers.append((self._whole(x), -1 if isinstance(offset, int) and raw(offset) == 0 else self._word(offset)))
        aligned = not parameter.do_not_specialize and not parameter.do_not_specialize_on_alignment
        self.places.append((parameter.name, "tensor", len(self.pointers) - 1, kind, aligned))

    def _whole(self, x: Any) -> int:
        """The operand that is all the memory that `x` lies in."""
        recorder, storage = self.s.recorder, x._storage
        for k, known in enumerate(self.memory):
            if known is not None and known[0] is storage:
                return k
        recorder.recast.check_write(storage)  # no other value stands for this memory
        kind: TensorType = storage.cover.type
        order = tuple(sorted(range(kind.ndim), key=lambda d: (-int(raw(kind.strides[d])), d)))
        if kind.is_contiguous:
            order = tuple(range(kind.ndim))
        value = recorder._laid_out(storage.value, kind)
        turned = value if order == tuple(range(kind.ndim)) else recorder._emit(permute, (value,), {"dims": order})
        if turned.tensor_type.is_contiguous:
            return self._operand(turned, turned.tensor_type.strides, (storage, order))
        if recorder.is_fresh(x):
            raise _refused(self.kernel, "with a tensor that is not dense")
        return self._operand(value, kind.strides, (storage, ()))

    def _store(self, operand: int, value: Value) -> None:
        """The memory of an operand has new values."""
        recorder, known = self.s.recorder, self.memory[operand]
        assert known is not None
        storage, order = known
        if not order and storage.cover.type.ndim:
            raise _refused(self.kernel, "which writes into a tensor with gaps")
        if order != tuple(range(len(order))):
            value = recorder._emit(permute, (value,), {"dims": tuple(order.index(d) for d in range(len(order)))})
        target = recorder._tensor(Tensor, storage.cover.with_grad(False), storage, 0, storage.value, ())
        recorder.write(target, recorder.wrap(value, recorder.meta_of(value.tensor_type, False)))

    def _written(self, name: str, options: dict[str, Any]) -> tuple[int, ...]:
        """The operands that the kernel writes, by Triton's IR for such arguments."""
        words, places = [int(raw(n)) for n in self.words], list(self.places)
        for k, (argument, what, *rest) in enumerate(places):
            if what == "size" and isinstance(self.words[rest[0]], SizeInt):  # the next call's may be no 1
                places[k] = (argument, what, rest[0], False, *rest[2:])
        try:
            found = user_kernels.written(name, places, words, options)
        except CompileError as error:
            raise _refused(self.kernel, f"which does not compile: {error}") from None
        if found is None:
            raise _refused(self.kernel, "which prints, asserts, makes descriptors or loads addresses")
        return tuple(sorted({self.pointers[p[2]][0] for p in self.places if p[1] == "tensor" and p[0] in found}))


def _is_function(x: Any) -> bool:
    return type(x).__name__ == "JITFunction" and type(x).__module__.startswith("triton.runtime")
