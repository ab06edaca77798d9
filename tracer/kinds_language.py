"""Kinds of graph breaks: statements, limits, and faults (see `kinds`)."""

from __future__ import annotations

from .kinds import Kind

KINDS = (
    Kind(
        "raise",
        "an exception leaves the compiled function",
        "nothing need be done: CPython raises it, with your own traceback; an exception caught inside breaks nothing",
        example="""
def f(x):
    raise ValueError("mine")  #! raise ValueError("mine")
""",
    ),
    Kind(
        "class-statement",
        "a class is made inside of the compiled function by more than its body: a metaclass, __init_subclass__ or __set_name__",
        "move the class statement out of the function",
        example="""
import abc

def f(x):
    class Local(abc.ABC):  #! class Local(abc.ABC):
        factor = 3
    return x * Local.factor
""",
        instead="""
import abc

class Local(abc.ABC):
    factor = 3

def f(x):
    return x * Local.factor
""",
    ),
    Kind(
        "frame",
        "the frame of a generator or coroutine outlives the call, that of a class body keeps its names in a dict: neither can be "
        "compiled",
        "move the tensor code into an ordinary function and call that",
        example="""
def f(x):  #!
    yield x + 1
    yield x + 2
""",
        instead="""
def f(x):
    return [x + 1, x + 2]
""",
    ),
    Kind(
        "frame-object",
        "the function asks for its own frame, which is one of CPython's only where the whole function runs under CPython",
        "ask for the frame in a function of its own, outside of what is compiled",
        example="""
import sys

def f(x):
    return x * sys._getframe().f_code.co_argcount  #! sys._getframe()
""",
    ),
    Kind(
        "endless",
        "an iterable is unpacked that has too many items or no end",
        "take what is needed: `itertools.islice(items, n)`, an index, a slice",
        example="""
def f(x):
    first, *rest = range(200_000)  #! first, *rest
    return x + first
""",
    ),
    Kind(
        "long-loop",
        "capture unrolls loops, and this one would make a graph too large to compile",
        "keep the loop outside of the compiled function, or write it as tensor operations",
        example="""
def f(x):
    total = 0
    for i in range(1000):
        total += i  #! total += i || total
    return x * total
""",
        instead="""
def f(x):
    return x * sum(range(1000))
""",
    ),
    Kind(
        "call-depth",
        "calls are nested deeper than knob inline_limit",
        "raise knob inline_limit, or write the recursion as a loop",
        example="""
def f(x, n=12):
    return x if n == 0 else f(x + 1, n - 1)  #! f(x + 1, n - 1)
""",
        instead="""
def f(x, n=12):
    for _ in range(n):
        x = x + 1
    return x
""",
    ),
    Kind(
        "many-breaks",
        "the function breaks at so many places that capture gave up; CPython runs all of it",
        "compile the functions that it calls in place of this one",
        example="""
import zlib

def f(x, data):
    for i in range(3):
        made = (x * k for k in range(3))
        first = next(made)
        zlib.crc32(data)  #! zlib.crc32(data)
        x = sum(made, first)
    return x
""",
        call='torch.ones(2), b"text"',
    ),
    Kind(
        "instruction",
        "this version of Python has an instruction here that the tracer does not know",
        "nothing need be done: CPython runs it, and what follows is compiled again; `fusewire dump --stage bytecode` shows it",
        example="""
def f(x):
    return x + 1  #! x + 1
""",
    ),
    Kind(
        "tracer-error",
        "the tracer failed at this expression; CPython runs it in its place, and the result is right",
        "run once with FUSEWIRE_VERIFY=1 to see the error, and mark the function with compiler.disable to be rid of the attempt",
        example="""
def f(x):
    return x + 1  #! x + 1
""",
    ),
)
