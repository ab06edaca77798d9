"""Handlers of instructions that steer: jumps, loops, calls, exceptions, with, pattern matching, delegation to generators."""

from __future__ import annotations

import collections.abc
import types
from typing import Any

from . import generators, groups
from .breaks import Break, UserRaise, describe
from .bytecode import NULL, Step, call_ex_operands, call_operands
from .deferred_io import enter_late
from .frame import Frame, handles
from .late import LATE
from .values import Lazy


@handles("JUMP")
def jump(f: Frame, step: Step) -> int:
    if f.head and step.backward:  # the frame is unpacked; its body begins
        f.stack = [f.session.outside.admit(x.value, x.source) if type(x) is Lazy else x for x in f.stack]
        f.head = False
    return step.target


@handles("POP_JUMP_IF_FALSE")
def pop_jump_if_false(f: Frame, step: Step) -> int | None:
    return None if f.stack.pop() else step.target


@handles("POP_JUMP_IF_TRUE")
def pop_jump_if_true(f: Frame, step: Step) -> int | None:
    return step.target if f.stack.pop() else None


@handles("POP_JUMP_IF_NONE")
def pop_jump_if_none(f: Frame, step: Step) -> int | None:
    return step.target if f.session.operators.same(f.stack.pop(), None) else None


@handles("POP_JUMP_IF_NOT_NONE")
def pop_jump_if_not_none(f: Frame, step: Step) -> int | None:
    return step.target if not f.session.operators.same(f.stack.pop(), None) else None


@handles("GET_ITER")
def get_iter(f: Frame, step: Step) -> None:
    f.stack.append(f.session.operators.iterate(f.stack.pop()))


@handles("FOR_ITER")
def for_iter(f: Frame, step: Step) -> int | None:
    value = f.session.operators.advance(f.stack[-1])
    if value is NULL:
        f.stack.pop()
        return step.target
    f.stack.append(value)
    return None


# -- calls ---------------------------------------------------------------------------------------------------------------


def _call(f: Frame, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    """A call that is the whole instruction: a break inside of it leaves this frame behind the call."""
    calls = f.session.calls
    fn, args, kwargs = calls.entered(fn, args, kwargs)
    f.plain = calls.follows(fn)
    try:
        result = calls.call(fn, args, kwargs)
    except UserRaise:
        f.plain = False
        raise
    f.plain = False
    f.stack.append(result)


@handles("CALL")
def call(f: Frame, step: Step) -> None:
    fn, args = call_operands(f.stack, step.arg)
    names = step.arg.names
    kwargs = dict(zip(names, args[len(args) - len(names) :], strict=True)) if names else {}
    _call(f, fn, args[: len(args) - len(names)], kwargs)


@handles("CALL_EX")
def call_ex(f: Frame, step: Step) -> None:
    fn, args, kwargs = call_ex_operands(f.stack, step.arg)
    if kwargs is not None and not isinstance(kwargs, dict):
        raise Break("mapping", "keyword arguments from a mapping that is not a dict")
    _call(f, fn, list(f.session.operators.items(args)), dict(kwargs or {}))


# -- exceptions ------------------------------------------------------------------------------------------------------------


def _made(f: Frame, exc: Any) -> BaseException:
    if isinstance(exc, type) and issubclass(exc, BaseException):
        exc = f.session.call(exc)
    if not isinstance(exc, BaseException):
        raise UserRaise(TypeError("exceptions must derive from BaseException"))
    return exc


@handles("RAISE_VARARGS")
def raise_varargs(f: Frame, step: Step) -> None:
    if step.arg == 0:
        if f.session.handled is None:
            raise UserRaise(RuntimeError("No active exception to reraise"))
        raise UserRaise(f.session.handled)
    cause = f.stack.pop() if step.arg == 2 else NULL
    exc = _made(f, f.stack.pop())
    if f.session.outside.source_of(exc) is not None:
        raise Break("outer-exception", "raising an exception from outside, which changes it")
    if cause is not NULL:
        exc.__cause__ = None if cause is None else _made(f, cause)
        exc.__suppress_context__ = True
    raise f.session.thrown(exc)


@handles("RERAISE")
def reraise(f: Frame, step: Step) -> None:
    raise UserRaise(f.stack.pop())


@handles("PUSH_EXC_INFO")
def push_exc_info(f: Frame, step: Step) -> None:
    exc = f.stack.pop()
    f.stack += [f.session.handled, exc]
    f.session.handled = exc


@handles("POP_EXCEPT")
def pop_except(f: Frame, step: Step) -> None:
    f.session.handled = f.stack.pop()
    if f.raised:
        f.raised.pop()


@handles("CHECK_EXC_MATCH")
def check_exc_match(f: Frame, step: Step) -> None:
    wanted = f.stack.pop()
    classes = wanted if isinstance(wanted, tuple) else (wanted,)
    if not all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
        raise UserRaise(TypeError("catching classes that do not inherit from BaseException is not allowed"))
    f.stack.append(isinstance(f.stack[-1], wanted))


@handles("STOPITERATION_ERROR")
def stopiteration_error(f: Frame, step: Step) -> None:
    exc = f.stack[-1]
    ends = (StopIteration, StopAsyncIteration) if f.code.co_flags & 0x200 else StopIteration
    if isinstance(exc, ends):
        kind = "async generator" if f.code.co_flags & 0x200 else "coroutine" if f.code.co_flags & 0x80 else "generator"
        error = RuntimeError(f"{kind} raised {type(exc).__name__}")
        error.__cause__ = error.__context__ = exc
        f.stack[-1] = error


@handles("BEFORE_WITH")
def before_with(f: Frame, step: Step) -> None:
    _enter(f, "__enter__", "__exit__", "context manager")


def _enter(f: Frame, first: str, last: str, what: str) -> None:
    """Push the bound exit method, and what entering gives."""
    manager = f.stack.pop()
    if type(manager) in LATE and first == "__enter__":
        f.stack += enter_late(f.session, manager)
        return
    enter, leave = (f.session.attributes.of_class(manager, name) for name in (first, last))
    if enter is NULL or leave is NULL:
        raise UserRaise(TypeError(f"'{type(manager).__name__}' object does not support the {what} protocol"))
    if not isinstance(enter, types.FunctionType) or not isinstance(leave, types.FunctionType):
        raise Break("context-manager", f"entering {describe(manager)}")
    f.stack.append(types.MethodType(leave, manager))
    f.stack.append(f.session.call(enter, (manager,)))


@handles("WITH_EXCEPT_START")
def with_except_start(f: Frame, step: Step) -> None:
    exc = f.stack[-1]
    f.stack.append(f.session.call(f.stack[-4], (type(exc), exc, f.session.traceback_of(exc))))


# -- delegation, pattern matching --------------------------------------------------------------------------------------------


@handles("GET_AWAITABLE")
def get_awaitable(f: Frame, step: Step) -> None:
    f.stack.append(generators.awaitable(f.session, f.stack.pop()))


@handles("GET_AITER")
def get_aiter(f: Frame, step: Step) -> None:
    x = f.stack.pop()
    if isinstance(x, generators.Generator) and x.kind is types.AsyncGeneratorType:
        f.stack.append(x)
    elif isinstance(x, generators.Generator) or f.session.attributes.of_class(x, "__aiter__") is NULL:
        kind = x.kind if isinstance(x, generators.Generator) else type(x)
        text = f"'async for' requires an object with __aiter__ method, got {kind.__name__}"
        raise f.session.thrown(TypeError(text))
    else:
        f.stack.append(f.session.operators.special(x, "__aiter__"))


@handles("GET_ANEXT")
def get_anext(f: Frame, step: Step) -> None:
    x = f.stack[-1]
    made = generators.Step(x, x.advance) if isinstance(x, generators.Generator) else f.session.operators.special(x, "__anext__")
    f.stack.append(generators.awaitable(f.session, made))


@handles("END_ASYNC_FOR")
def end_async_for(f: Frame, step: Step) -> None:
    exc = f.stack.pop()
    f.stack.pop()
    if not isinstance(exc, StopAsyncIteration):
        raise UserRaise(exc)
    if f.raised:
        f.raised.pop()


@handles("BEFORE_ASYNC_WITH")
def before_async_with(f: Frame, step: Step) -> None:
    _enter(f, "__aenter__", "__aexit__", "asynchronous context manager")


@handles("ASYNC_GEN_WRAP")
def async_gen_wrap(f: Frame, step: Step) -> None:
    f.stack.append(generators.Wrapped(f.stack.pop()))


@handles("CLEANUP_THROW")
def cleanup_throw(f: Frame, step: Step) -> None:
    _, _, exc = f.popn(3)
    if not isinstance(exc, StopIteration):
        raise UserRaise(exc)
    f.stack += [None, exc.value]


@handles("CHECK_EG_MATCH")
def check_eg_match(f: Frame, step: Step) -> None:
    rest, match = groups.part(f.session, f.stack[-2], f.stack.pop())
    f.stack[-1] = rest
    f.stack.append(match)
    if match is not None:
        f.session.handled = match


@handles("PREP_RERAISE_STAR")
def prep_reraise_star(f: Frame, step: Step) -> None:
    group, raised = f.popn(2)
    left = groups.left_to_raise(group, raised)
    if left is not None:
        f.session.made_at.setdefault(id(left), (left, f.unit_number))
    f.stack.append(left)


@handles("GET_YIELD_FROM_ITER")
def get_yield_from_iter(f: Frame, step: Step) -> None:
    f.stack.append(f.session.operators.iterate(f.stack.pop()))


@handles("SEND")
def send(f: Frame, step: Step) -> int | None:
    sent = f.stack.pop()
    value, result = generators.send(f.session, f.stack[-1], sent)
    if value is not NULL:
        f.stack.append(value)
        return None
    f.stack[-1] = result
    return step.target


@handles("MATCH_MAPPING")
def match_mapping(f: Frame, step: Step) -> None:
    f.stack.append(f.session.call(isinstance, (f.stack[-1], collections.abc.Mapping)))


@handles("MATCH_SEQUENCE")
def match_sequence(f: Frame, step: Step) -> None:
    x, known = f.stack[-1], f.session
    found = known.call(isinstance, (x, collections.abc.Sequence))
    f.stack.append(found and not known.call(isinstance, (x, (str, bytes, bytearray))))


@handles("MATCH_KEYS")
def match_keys(f: Frame, step: Step) -> None:
    subject, keys = f.stack[-2:]
    if type(subject) is not dict:
        raise Break("mapping", "matching a mapping that is not a dict")
    f.session.outside.open(subject)
    f.stack.append(tuple(subject[k] for k in keys) if all(k in subject for k in keys) else None)


@handles("MATCH_CLASS")
def match_class(f: Frame, step: Step) -> None:
    subject, cls, names = f.popn(3)
    count = step.arg
    if not isinstance(cls, type) or not f.session.call(isinstance, (subject, cls)):
        f.stack.append(None)
        return
    own = cls in (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)
    if count and own:
        found = [subject]
    else:
        positional = f.session.attributes.load_or(cls, "__match_args__", ())[:count] if count else ()
        if len(positional) < count:
            raise UserRaise(TypeError(f"{cls.__name__}() accepts {len(positional)} positional sub-patterns ({count} given)"))
        found = [f.session.attributes.load_or(subject, name, NULL) for name in positional]
    found += [f.session.attributes.load_or(subject, name, NULL) for name in names]
    f.stack.append(None if any(x is NULL for x in found) else tuple(found))
