"""Kinds of graph breaks: objects that the tracer cannot look into (see `kinds`)."""

from __future__ import annotations

from .kinds import Kind

KINDS = (
    Kind(
        "changing-number",
        "Python code or an op needs the value itself of a number or size that has had many values before: each would be compiled "
        "anew",
        "pass it as a tensor, or move the code that needs it out of the compiled function",
        example="""
def f(x, name):
    return x * 2, (x.sum(), x)[name]  #! (x.sum(), x)[name]
""",
        call="torch.ones(2), 1",
        instead="""
def f(x, n):
    return x * 2, x * n
""",
        instead_call="torch.ones(2), 1",
    ),
    Kind(
        "outside-object",
        "an object that is neither of a Python class nor a built-in container is looked into, which no guard can watch",
        "read what is needed outside of the compiled function, and pass plain values, lists or tensors",
        example="""
import array

def f(x, numbers):
    return x * numbers[0]  #! numbers[0]
""",
        call='torch.ones(2), array.array("d", [2.0])',
        instead="""
def f(x, numbers):
    return x * numbers[0]
""",
        instead_call="torch.ones(2), [2.0]",
    ),
    Kind(
        "own-attributes",
        "the object's class looks attributes up, or stores them, by C code of its own",
        "read the attribute outside of the compiled function and pass its value in",
        example="""
import threading

class Local(threading.local):
    pass

LOCAL = Local()
LOCAL.factor = 2

def f(x):
    return x * LOCAL.factor  #! LOCAL.factor
""",
        instead="""
def f(x, factor):
    return x * factor
""",
        instead_call="torch.ones(2), 2",
    ),
    Kind(
        "descriptor",
        "the attribute is a descriptor of C code, whose reading or storing does more than that (`obj.__class__ = ...`)",
        "read or store it outside of the compiled function, or write the descriptor in Python",
        example="""
class Eager:
    factor = 2

class Frozen:
    factor = 3

def f(x, model):
    model.__class__ = Frozen  #! model.__class__
    return x * model.factor
""",
        call="torch.ones(2), Eager()",
    ),
    Kind(
        "class-change",
        "an attribute of a class becomes another kind of thing (a property, a special method), which every object of it feels",
        "change the class outside of the compiled function",
        example="""
class Scale:
    pass

def f(x):
    Scale.factor = property(lambda self: 2)  #! Scale.factor
    return x * Scale().factor
""",
    ),
    Kind(
        "function-internals",
        "the inner parts of a function or frame are read (closure, globals, traceback, cell)",
        "do without, or read them outside of the compiled function",
        example="""
def f(x, function):
    return x * len(function.__globals__)  #! function.__globals__
""",
        call="torch.ones(2), f",
    ),
    Kind(
        "unbound",
        "a slot, cell or attribute is read that holds nothing, which no guard can watch",
        "give it a value (None) before the call",
        example="""
class Point:
    __slots__ = ("x",)

def f(x, point):
    return x + getattr(point, "x", 1)  #! getattr(point, "x", 1)
""",
        call="torch.ones(2), Point()",
    ),
    Kind(
        "mapping",
        "a mapping that is no dict is unpacked or matched",
        "turn it into a dict first: `dict(mapping)`",
        example="""
import types

def scaled(x, factor):
    return x * factor

def f(x, options):
    return scaled(x, **options)  #! scaled(x, **options)
""",
        call='torch.ones(2), types.MappingProxyType({"factor": 2})',
        instead="""
def f(x, options):
    return scaled(x, **options)
""",
        instead_call='torch.ones(2), {"factor": 2}',
    ),
    Kind(
        "outer-exception",
        "an exception object that was made outside of the compiled function is raised, which writes a traceback into it",
        "raise a new exception",
        example="""
ERROR = ValueError("no")

def f(x):
    try:
        raise ERROR  #! raise ERROR
    except ValueError:
        return x + 1
""",
        instead="""
def f(x):
    try:
        raise ValueError("no")
    except ValueError:
        return x + 1
""",
    ),
    Kind(
        "generator-alive",
        "a generator that the compiled function has begun is needed behind a break, or driven by send or throw, and cannot be "
        "handed over half run",
        "use it up (`list(...)`) before the break, or remove the break behind it",
        example="""
import zlib

def f(x, data):
    made = (x * i for i in range(3))  #! (x * i for i in range(3))
    first = next(made)
    zlib.crc32(data)
    return first, list(made)
""",
        call='torch.ones(2), b"text"',
    ),
)
