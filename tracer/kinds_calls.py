"""Kinds of graph breaks: calls of what the tracer does not follow (see `kinds`)."""

from __future__ import annotations

from .kinds import Kind

KINDS = (
    Kind(
        "c-function",
        "the called function is no Python code, and may do anything",
        "call it outside of the compiled function and pass the result in; where it stands, it costs one break",
        example="""
import zlib

def f(x, data):
    return x * zlib.crc32(data)  #! zlib.crc32(data)
""",
        call='torch.ones(2), b"text"',
        instead="""
def f(x, sum):
    return x * sum
""",
        instead_call="torch.ones(2), 999008199",
    ),
    Kind(
        "late-value",
        "a number that is drawn, read off a clock or asked of the system decides what Python does next; such calls are made in "
        "order at every call, and what they give may be computed with, printed and returned, not looked at while recording",
        "decide before the compiled function, or on tensors: torch.where(torch.rand(()) < 0.5, a, b)",
        example="""
import os

def f(x):
    return x * 2 if os.getpid() > 1 else x  #! os.getpid() > 1
""",
        instead="""
def f(x, own):
    return x * 2 if own else x
""",
        instead_call="torch.ones(2), True",
    ),
    Kind(
        "standard-library",
        "the call of a function of Python's library does something in its depth that cannot be followed; it runs as one piece",
        "call it outside of the compiled function and pass the result in",
        example="""
import shutil

def f(x, path):
    return x * (shutil.disk_usage(path).total > 0)  #! shutil.disk_usage(path)
""",
        call='torch.ones(2), "/"',
        instead="""
def f(x, total):
    return x * (total > 0)
""",
        instead_call="torch.ones(2), 1",
    ),
    Kind(
        "input-output",
        "a file or stream is opened, read or closed, and what follows may depend on it",
        "read before the compiled function and pass the data in; write behind it",
        example="""
def f(x, path):
    with open(path) as file:
        return x * len(file.read())  #! x * len(file.read())
""",
        call="torch.ones(2), __file__",
        instead="""
def f(x, text):
    return x * len(text)
""",
        instead_call='torch.ones(2), "text"',
    ),
    Kind(
        "c-class",
        "the class is not written in Python, so its objects cannot be made or looked into by the tracer",
        "make the object outside, and pass in the numbers and tensors that are needed of it",
        example="""
import decimal

def f(x, text):
    return x * float(decimal.Decimal(text))  #! decimal.Decimal(text)
""",
        call='torch.ones(2), "1.5"',
        instead="""
def f(x, number):
    return x * number
""",
        instead_call="torch.ones(2), 1.5",
    ),
    Kind(
        "metaclass",
        "the metaclass of the class decides here, by code of its own",
        "ask outside of the compiled function, or give the metaclass no `__instancecheck__`",
        example="""
class Kept(type):
    def __instancecheck__(cls, obj):
        return True

class Scale(metaclass=Kept):
    factor = 2

def f(x):
    return x * (2 if isinstance(3, Scale) else 1)  #! isinstance(3, Scale)
""",
    ),
    Kind(
        "finalizer",
        "an object whose class has a `__del__` is made or let go here, which runs code at a time that CPython alone decides",
        "make the object outside of the compiled function and keep it there, or use a `with` block in place of `__del__`",
        example="""
class Handle:
    def __del__(self):
        pass

def f(x):
    handle = Handle()  #! Handle()
    return x + 1
""",
    ),
    Kind(
        "disabled",
        "the function is marked with compiler.disable",
        "remove the mark where the function is tensor code",
        example="""
@torch.compiler.disable
def helper(x):
    return x + 1

def f(x):
    return helper(x) * 2  #! helper(x)
""",
        instead="""
def helper(x):
    return x + 1

def f(x):
    return helper(x) * 2
""",
    ),
    Kind(
        "import",
        "a module is imported for the first time, which runs all of its code",
        "import it at the top of the file",
        example="""
def f(x):
    import colorsys  #! import colorsys
    return x * colorsys.rgb_to_hls(0.0, 0.0, 1.0)[1]
""",
        instead="""
import colorsys

def f(x):
    return x * colorsys.rgb_to_hls(0.0, 0.0, 1.0)[1]
""",
    ),
    Kind(
        "namespace",
        "a namespace is looked through as a whole (locals(), globals(), vars(), exec, frames), of which any entry may matter",
        "name the variables or attributes that are needed",
        example="""
def f(x):
    factor = 2
    return x * locals()["factor"]  #! locals()
""",
        instead="""
def f(x):
    factor = 2
    return x * factor
""",
    ),
    Kind(
        "identity",
        "the address or hash of an object is asked for, which differs from run to run",
        "use a key of your own (a name, a number) in place of id() and hash()",
        example="""
def f(x, items):
    return x * (id(items) % 2 + hash("a") % 2)  #! id(items)
""",
        call="torch.ones(2), []",
    ),
    Kind(
        "own-comparison",
        "C code (sorting, a set, a dict, `in`) compares objects by code of their own, which the tracer cannot enter from there",
        "sort and look up by a key that is a number or a string (`key=...`)",
        example="""
class Item:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return self.n == other.n

def f(x, items):
    return x * items.index(items[1])  #! items.index(items[1])
""",
        call="torch.ones(2), [Item(3), Item(2)]",
        instead="""
def f(x, items):
    return x * [item.n for item in items].index(2)
""",
    ),
    Kind(
        "own-text",
        "C code makes text of an object by code of the object's own, which the tracer cannot enter from there",
        "make the text of plain values: `str(obj.name)` in place of `str(obj)`",
        example="""
class Name:
    def __str__(self):
        return "two"

def f(x, name):
    return x, "is {}".format(name)  #! "is {}".format(name)
""",
        call="torch.ones(2), Name()",
        instead="""
def f(x, name):
    return x, "is " + name.__str__()
""",
    ),
    Kind(
        "own-number",
        "C code calculates with an object by code of the object's own, which the tracer cannot enter from there",
        "turn the object into an int or float first",
        example="""
class Money:
    def __divmod__(self, other):
        return 3, 1

def f(x, money):
    return x * divmod(money, 2)[0]  #! divmod(money, 2)
""",
        call="torch.ones(2), Money()",
        instead="""
def f(x, money):
    return x * money.__divmod__(2)[0]
""",
    ),
    Kind(
        "unusual-arguments",
        "a built-in function is called in a form that the tracer does not know",
        "write the usual form, or a loop",
        example="""
def numbers():
    yield 2.0

def f(x):
    for n, m in zip(numbers(), [3.0], strict=True):  #! zip(numbers(), [3.0], strict=True)
        x = x * n + m
    return x
""",
        instead="""
def numbers():
    yield 2.0

def f(x):
    for n, m in zip(numbers(), [3.0]):
        x = x * n + m
    return x
""",
    ),
    Kind(
        "outer-iterator",
        "an iterator that was made outside of the compiled function is advanced more than once, or nothing tells what it gives "
        "next",
        "take the items outside and pass them in; where it stands, CPython takes it and what follows is compiled again",
        example="""
def f(x, it):
    y = x + next(it)
    return y * next(it)  #! next(it)
""",
        call="torch.ones(2), iter([5.0, 6.0])",
        instead="""
def f(x, a, b):
    return (x + a) * b
""",
        instead_call="torch.ones(2), 5.0, 6.0",
    ),
    Kind(
        "context-manager",
        "a `with` block is entered or left whose manager is no Python code (a lock): what the block reads must be read inside "
        "of it",
        "enter it outside of the compiled function; where it stands, entering and leaving cost one break each",
        example="""
import decimal

CONTEXT = decimal.localcontext()

def f(x):
    with CONTEXT:  #! CONTEXT || with CONTEXT:
        return x + 1
""",
    ),
    Kind(
        "library-argument",
        "an object with code of its own is handed to a function of fusewire, which would run that code while it is recorded",
        "hand over tensors and numbers: turn the object into one first",
        example="""
class Size:
    def __index__(self):
        return 2

def f(x, size):
    return x.reshape(size, 1)  #! x.reshape(size, 1)
""",
        call="torch.ones(2), Size()",
        instead="""
def f(x, size):
    return x.reshape(size.__index__(), 1)
""",
    ),
)
