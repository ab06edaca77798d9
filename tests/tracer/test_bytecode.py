"""Decoding, normalising and assembling, on the standard library and on functions whose meaning is known."""

import argparse
import ast
import asyncio.base_events
import builtins
import collections
import dataclasses
import difflib
import dis
import gc
import html.parser
import inspect
import json.decoder
import operator
import re
import typing
import weakref
from types import CodeType

import pytest

from fusewire.tracer import bytecode
from fusewire.tracer.assemble import assemble
from fusewire.tracer.bytecode import NOT_MODELLED, NULL, OPCODES, VERSION, CallShape, call_operands, decode, normalised, parse
from fusewire.tracer.flow import flow

MODULES = [argparse, ast, asyncio.base_events, collections, dataclasses, difflib, html.parser, inspect, json.decoder, typing]


def codes(code):
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from codes(const)


@pytest.fixture(scope="module")
def library():
    out = []
    for module in MODULES:
        with open(module.__file__) as file:
            out += codes(compile(file.read(), module.__file__, "exec"))
    return out


def test_round_trip_over_the_standard_library(library):
    assert len(library) > 1000
    for code in library:
        again = assemble(code, parse(code))
        assert again.co_code == code.co_code
        assert again.co_exceptiontable == code.co_exceptiontable
        assert list(again.co_positions()) == list(code.co_positions())


def test_jumps_and_lines_agree_with_dis(library):
    for code in library[::7]:
        expected = [i for i in dis.get_instructions(code) if i.opname not in ("EXTENDED_ARG", "CACHE")]
        ours = decode(code)
        assert [i.op for i in ours] == [i.opname for i in expected]
        assert [i.arg for i in ours] == [i.arg or 0 for i in expected] or VERSION < (3, 12)
        targets = [i.target.offset for i in ours if i.target]
        assert targets == [i.argval for i in expected if i.opcode in (*dis.hasjrel, *dis.hasjabs)]


def test_depths_agree_with_the_compiler(library):
    """The deepest stack that the flow finds is what the compiler asks for, or less where it rounds up."""
    for code in library[::3]:
        if code.co_flags & inspect.CO_OPTIMIZED and not code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
            graph = flow(code)
            assert all(state.depth >= 0 for state in graph.stack.values())
            assert max(state.depth for state in graph.stack.values()) <= code.co_stacksize


def test_every_step_is_in_the_table(library):
    for code in library:
        program = normalised(code)
        for step in program.steps:
            assert step.op in OPCODES
            if step.op == "UNKNOWN":
                assert step.arg.split()[0] in NOT_MODELLED or step.arg.startswith("CALL_INTRINSIC_")
            if step.op == "JUMP" or step.op.startswith("POP_JUMP"):
                assert program.steps[step.target].instr.offset in program.at


def test_every_opcode_of_this_python_is_normalised_or_listed():
    fake = compile("x.y", "f", "eval").replace(co_names=("a",) * 8, co_consts=("k",) * 8)
    for op, number in dis.opmap.items():
        if number > 255 or op.startswith("INSTRUMENTED"):
            continue  # never in fresh code
        if op in ("CALL", "CALL_KW"):
            continue  # their meaning depends on the instruction before them
        instr = bytecode.Instruction(op, {"BINARY_OP": 1, "CALL_INTRINSIC_1": 5}.get(op, 2))
        parts = bytecode._parts(fake, instr)
        assert (parts == [("UNKNOWN", op)]) == (op in NOT_MODELLED), op
        assert all(name in OPCODES for name, _ in parts)


def test_operator_tables_are_those_of_this_python():
    import opcode

    theirs = getattr(opcode, "_nb_ops", None)
    assert theirs is not None and [symbol for _, symbol in theirs] == list(bytecode.BINARY)
    assert list(bytecode.COMPARE) == list(dis.cmp_op)


def test_the_docstring_describes_every_opcode():
    words = set(re.findall(r"[A-Z_]{3,}", bytecode.__doc__))
    assert [op for op in OPCODES if op not in words] == []


def test_an_unknown_opcode_is_a_step_of_its_own():
    code = compile("a + b", "f", "eval")
    strange = bytecode.Instruction("FROM_THE_FUTURE", 3)
    assert bytecode._parts(code, strange) == [("UNKNOWN", "FROM_THE_FUTURE")]


def machine(fn, *args):
    """Runs straight code by its steps: a small interpreter of the part of the table that `PROGRAMS` need."""
    steps, slots, stack, k = normalised(fn.__code__).steps, [*args, *[NULL] * 8], [], 0
    while True:
        step = steps[k]
        k += 1
        op, arg = step.op, step.arg
        if op in ("JUMP", "FOR_ITER") or op.startswith("POP_JUMP"):
            k = branch(stack, step, k)
        elif op == "RETURN_VALUE":
            return stack.pop()
        elif op == "STORE_FAST":
            slots[arg] = stack.pop()
        elif op == "LOAD_FAST_AND_CLEAR":
            stack.append(slots[arg])
            slots[arg] = NULL
        elif op == "LOAD_FAST":
            assert slots[arg] is not NULL
            stack.append(slots[arg])
        elif op == "CALL":
            called, values = call_operands(stack, arg)
            split = len(values) - len(arg.names)
            stack.append(called(*values[:split], **dict(zip(arg.names, values[split:], strict=True))))
        elif op == "LOAD_GLOBAL":
            stack.append(getattr(builtins, arg))
        else:
            simple(stack, op, arg)


def branch(stack, step, after):
    if step.op == "FOR_ITER":
        item = next(stack[-1], NULL)
        if item is NULL:
            stack.pop()
            return step.target
        stack.append(item)
        return after
    if step.op == "JUMP":
        return step.target
    test = stack.pop()
    taken = {"FALSE": test is False, "TRUE": test is True, "NONE": test is None, "NOT_NONE": test is not None}
    return step.target if taken[step.op.removeprefix("POP_JUMP_IF_")] else after


def take(stack, n):
    out = stack[len(stack) - n :]
    del stack[len(stack) - n :]
    return out


def simple(stack, op, arg):
    if op in ("LOAD_CONST", "PUSH_NULL", "COPY"):
        stack.append({"LOAD_CONST": lambda: arg, "PUSH_NULL": lambda: NULL, "COPY": lambda: stack[-arg]}[op]())
    elif op == "SWAP":
        stack[-1], stack[-arg] = stack[-arg], stack[-1]
    elif op in ("BUILD_TUPLE", "BUILD_LIST", "BUILD_STRING"):
        stack.append({"BUILD_TUPLE": tuple, "BUILD_LIST": list, "BUILD_STRING": "".join}[op](take(stack, arg)))
    elif op == "BUILD_SLICE":
        stack.append(slice(*take(stack, arg)))
    elif op == "STORE_SUBSCR":
        value, where, key = take(stack, 3)
        where[key] = value
    elif op in ("LIST_APPEND", "LIST_EXTEND"):
        getattr(stack[-arg - 1], op[5:].lower())(stack.pop())
    elif op == "UNPACK_SEQUENCE":
        stack.extend(reversed(list(stack.pop())))
    elif op in ("BINARY_OP", "COMPARE_OP", "BINARY_SUBSCR", "CONTAINS_OP", "IS_OP"):
        a, b = take(stack, 2)
        table = {"BINARY_SUBSCR": operator.getitem, "CONTAINS_OP": lambda x, y: (x in y) != arg}
        table["IS_OP"] = lambda x, y: (x is y) != arg
        stack.append((table.get(op) or {**bytecode.BINARY, **bytecode.COMPARE}[arg])(a, b))
    elif op == "FORMAT":
        spec = stack.pop() if arg else ""
        stack.append(format(stack.pop(), spec))
    elif op == "POP_TOP":
        stack.pop()
    elif op != "NOP":
        convert = {"s": str, "r": repr, "a": ascii}
        unary = {"TO_BOOL": bool, "UNARY_NOT": operator.not_, "GET_ITER": iter, "LIST_TO_TUPLE": tuple}
        named = {"LOAD_ATTR": lambda x: getattr(x, arg), "UNARY_OP": bytecode.UNARY.get(arg), "CONVERT_VALUE": convert.get(arg)}
        stack.append((unary.get(op) or named[op])(stack.pop()))


def branches(a, b):
    c = (a and b) or -a
    if not c > 3:
        c = c + 10 if b is not None else ~a
    return c, a < b <= 100, a not in (1, 2)


def slices(a, b):
    xs = [a, *range(b), a]
    xs[1:3] = "pq"
    x, y, *_ = xs[:2] + xs[-1:] + xs[::2]
    return xs, x, y


def loops(a, b):
    total = 0
    for k in range(b):
        if k == a:
            continue
        total += k
    return total


def strings(a, b):
    return f"{a!r:>6}|{b:{a}}|{b!s}", f"x{a}y", divmod(b, 2), sorted([b, a], key=str, reverse=True)


def comprehended(a, b):
    b = [a for a in range(b) if a % 2]
    return a, b


PROGRAMS = [branches, loops, strings] + ([comprehended] if VERSION >= (3, 12) else [])


@pytest.mark.parametrize("fn", PROGRAMS)
@pytest.mark.parametrize("args", [(1, 5), (0, 3), (4, 7)])
def test_steps_mean_what_the_code_does(fn, args):
    assert machine(fn, *args) == fn(*args)


def test_slices_become_subscripts():
    def fn(xs, a):
        xs[1:a] = "pq"
        first, second = xs[:2]
        return xs[a:], first, second

    assert machine(fn, [1, 2, 3, 4], 3) == fn([1, 2, 3, 4], 3)
    ops = {s.op for s in normalised(slices.__code__).steps}
    assert {"UNPACK_EX", "STORE_SUBSCR", "BINARY_SUBSCR", "BUILD_SLICE"} <= ops


def test_calls_carry_their_shape():
    def fn(f, xs):
        return f(1, *xs), f(1, k=2, **xs[0]), f(3, a=4, b=5), f.g(6)

    calls = [s.arg for s in normalised(fn.__code__).steps if s.op in ("CALL", "CALL_EX")]
    assert calls == [False, True, CallShape(1, ("a", "b")), CallShape(1)]


def test_methods_and_plain_calls_find_their_operands():
    low_null = VERSION < (3, 13)
    plain = [NULL, "f", 1, 2] if low_null else ["f", NULL, 1, 2]
    assert call_operands(plain, CallShape(2)) == ("f", [1, 2]) and plain == []
    method = ["below", "m", "self", 1]
    assert call_operands(method, CallShape(1)) == ("m", ["self", 1]) and method == ["below"]


def test_breaks_never_part_a_call_from_its_keywords():
    def fn(f):
        return f(1, k=2)

    steps = normalised(fn.__code__).steps
    call = next(s for s in steps if s.op == "CALL")
    unit = flow(fn.__code__).unit(call.instr)
    assert call.begins == (unit[0] is call.instr)
    assert next(s.begins for s in steps if s.instr is unit[0])


def test_caches_do_not_keep_code_alive():
    space = {}
    exec("def fn(a):\n    for k in a:\n        a = k, a\n    return a", space)
    code = space["fn"].__code__
    normalised(code), flow(code)
    dead = weakref.ref(code)
    del code
    space.clear()
    gc.collect()
    assert dead() is None
