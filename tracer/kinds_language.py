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
        "a class is made inside of the compiled function",
        "move the class statement out of the function",
        example="""
def f(x):
    class Local:  #! class Local:
        factor = 3
    return x * Local.factor
""",
        instead="""
class Local:
    factor = 3

def f(x):
    return x * Local.factor
""",
    ),
    Kind(
        "super",
        "the name `super` stands for something else than Python's own",
        "give your function another name",
        example="""
class Base:
    def scale(self, x):
        return x * 2

class Model(Base):
    def scale(self, x):
        return super().scale(x)

MODEL = Model()

def f(x):
    return MODEL.scale(x)
""",
    ),
    Kind(
        "generator-send",
        "a value is sent into a generator that delegates with `yield from`",
        "send to the inner generator itself, or pass the value as an argument",
        example="",
    ),
    Kind(
        "frame",
        "the frame of a generator, coroutine or class body outlives the call or has no slots, so capture cannot go on in it behind a break",
        "move the tensor code into an ordinary function and call that",
        example="",
    ),
    Kind(
        "endless",
        "an iterable is unpacked that has too many items or no end",
        "take a slice first: `itertools.islice(items, n)`",
        example="""
import itertools

def f(x):
    return x * sum(zip(itertools.count(), itertools.count()))  #! f
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
        total += i  #! total += i
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
        example="",
    ),
    Kind(
        "instruction",
        "this version of Python has an instruction here that the tracer does not know",
        "nothing need be done: CPython runs it, and what follows is compiled again; `fusewire dump --stage bytecode` shows the instruction",
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
