"""Python without tensors, full of handlers, closures and opaque calls, does the same compiled: results, exceptions, logs."""

import copy
import sys
import traceback
from pathlib import Path

import pytest

import fusewire

sys.path.insert(0, str(Path(__file__).parent.parent / "tracer"))
import resume_cases

ONE_AFTER_ANOTHER = 3


def outcome(fn, args):
    resume_cases.LOG.clear()
    args = copy.deepcopy(args)
    try:
        result = "returned", repr(fn(*args))
    except Exception as exc:
        lines = [(f.name, f.lineno) for f in traceback.extract_tb(exc.__traceback__) if f.filename == resume_cases.__file__]
        result = "raised", repr(exc), lines, repr(exc.__context__), repr(exc.__cause__)
    return result, repr(resume_cases.LOG), repr(sys.exc_info())


@pytest.mark.parametrize(("fn", "arguments"), resume_cases.CASES, ids=[fn.__name__ for fn, _ in resume_cases.CASES])
def test_compiled_python_does_what_it_did(fn, arguments):
    compiled = fusewire.compile(fn)
    for args in arguments:
        want = outcome(fn, args)
        for _ in range(ONE_AFTER_ANOTHER):
            assert outcome(compiled, args) == want
