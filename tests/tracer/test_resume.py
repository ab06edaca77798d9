"""A frame broken anywhere and continued gives the same result, exception, context chain, traceback and log as one that is not."""

import contextlib
import copy
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from breaker import Breaker, Everything, Frame, continue_frames
from resume_cases import CASES, LOG, say

from fusewire.tracer.bytecode import NULL, call_operands, normalised
from fusewire.tracer.flow import flow
from fusewire.tracer.resume import SHIFT, FrameState, Shape, make_function, origin, pack, refusal, resume_code
from fusewire.tracer.stops import stopping_code
from fusewire.tracer.traces import strip_frame
from fusewire.tracer.turns import Continuations


def describe(exc, skip):
    if exc is None:
        return None
    lines, tb = [], exc.__traceback__
    while tb is not None:
        lines.append((tb.tb_frame.f_code.co_name, tb.tb_lineno))
        tb = tb.tb_next
    return type(exc), str(exc), lines[skip:], describe(exc.__context__, 0), repr(exc.__cause__)


def outcome(fn, args, skip):
    """What a call of `fn` does, with `skip` entries of the traceback left out: the test's own."""
    LOG.clear()
    args = copy.deepcopy(args)
    try:
        result = "returned", repr(fn(*args))
    except Exception as exc:
        result = "raised", describe(exc, skip)
    return result, repr(LOG), repr(sys.exc_info())


def compare(fn, offsets, again, wanted, runs, kind=Everything):
    broken = Breaker(fn, offsets, again, kind=kind)
    for args, want in wanted:
        for _ in range(runs):
            assert outcome(broken.entry, args, 1) == want, (fn.__name__, sorted(offsets), again, args)
    return broken.arrivals


@pytest.mark.parametrize(("fn", "arguments"), CASES, ids=[fn.__name__ for fn, _ in CASES])
def test_broken_at_every_instruction(fn, arguments):
    points = [instr.offset for instr in flow(fn.__code__).breakable()]
    wanted = [(args, outcome(fn, args, 1)) for args in arguments]
    reached, stride = 0, 1 + len(points) // 60
    for offset in points[::stride]:
        reached += compare(fn, {offset}, False, wanted, 1) > 0
        compare(fn, {offset}, True, wanted, 1)
    assert reached > len(points) // stride // 2
    compare(fn, set(points[::stride]), True, wanted, 12)
    compare(fn, set(points[::stride]), True, wanted, 1, Continuations)


def test_a_loop_that_breaks_fifty_thousand_times_does_not_nest():
    def loop(n):
        total = 0
        for k in range(n):
            try:
                total += k
            finally:
                total += 1
        return total

    add = next(s.instr.offset for s in normalised(loop.__code__).steps if s.op == "BINARY_OP")
    broken = Breaker(loop, {add}, True)
    assert broken.entry(50_000) == loop(50_000)
    assert broken.arrivals == 50_000


def strict(value):
    if value > 10:
        raise ValueError(value)
    return value


def inner(v, *, bias=0):
    w = v * 3
    try:
        z = strict(w) + bias
    except KeyError:
        z = None
    for _ in range(2):
        z = say(z)
    return z + w


def deep(a):
    try:
        b = direct(a), say("behind")
    except LookupError as error:
        b = str(error), error.__context__
    if a == 5:
        strict(99)
    return a, b


class Inliner:
    """Runs `chain[0]` with the calls along `chain` inlined at their first arrival and broken at `offset` of the last."""

    def __init__(self, chain, offset, continuations):
        self.chain, self.offset, self.continuations = chain, offset, continuations

    def sites(self, fn, callee):
        found = []
        for step in normalised(fn.__code__).steps:
            unit = flow(fn.__code__).unit(step.instr)
            if step.op == "CALL" and flow(fn.__code__).at[unit[0].offset] in flow(fn.__code__).stack:
                found.append((unit[0].offset, step.arg))
        return found

    def reach(self, fn, args, kwargs, offsets):
        broken = type(fn)(stopping_code(fn.__code__, offsets), fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
        broken.__kwdefaults__ = fn.__kwdefaults__
        return broken(*args, **kwargs)

    def __call__(self, *args):
        frames, kwargs = [], {}
        try:
            for fn, callee in zip(self.chain, [*self.chain[1:], None], strict=True):
                shapes = {} if callee is None else dict(self.sites(fn, callee))
                wanted = {self.offset} if callee is None else set(shapes)
                mark, slots, stack = self.reach(fn, args, kwargs, wanted)
                if callee is not None:
                    called, values = call_operands(stack, shapes[mark.offset])
                    if called is not callee:
                        pytest.skip("another call comes first")
                    names = shapes[mark.offset].names
                    split = len(values) - len(names)
                    args, kwargs = values[:split], dict(zip(names, values[split:], strict=True))
                frames.append(Frame(fn, mark.offset, FrameState(slots, stack)))
            return continue_frames(frames, self.continuations)
        except BaseException as exc:
            strip_frame(exc)
            raise


def direct(v):
    try:
        return inner(v)
    except ValueError as error:
        raise LookupError(say("from")) from error


@pytest.mark.parametrize(("again", "kind"), [(False, Continuations), (True, Continuations), (True, Everything)])
@pytest.mark.parametrize("arg", [1, 2, 4])
def test_inlined_frames_broken_everywhere(arg, again, kind):
    want, reached = outcome(direct, (arg,), 1), 0
    for offset in [i.offset for i in flow(inner.__code__).breakable()]:
        if not arrives(inner, arg, offset):
            continue
        reached += 1
        run = Inliner([direct, inner], offset, kind(everywhere if again else None))
        for _ in range(3):
            assert outcome(run, (arg,), 1) == want, offset
    assert reached > 10


@pytest.mark.parametrize(("again", "kind"), [(True, Continuations), (True, Everything)])
@pytest.mark.parametrize("arg", [1, 4, 5])
def test_three_frames_deep(arg, again, kind):
    """The call of the comprehension's own frame (3.11) is not inlined; `deep` calls `direct` calls `inner`."""
    want = outcome(deep, (arg,), 1)
    for offset in [i.offset for i in flow(inner.__code__).breakable()][::3]:
        if arrives(inner, arg, offset):
            run = Inliner([deep, direct, inner], offset, kind(everywhere if again else None))
            assert outcome(run, (arg,), 1) == want, offset


def everywhere(resume):
    """A hook that breaks at every instruction of the user's code."""
    body = range(SHIFT, SHIFT + len(origin(resume.__code__).code.co_code))
    at = {i.offset for i in flow(resume.__code__).breakable() if i.offset in body}
    return Breaker(resume, at, False, everywhere).entry


def arrives(fn, arg, offset):
    broken = Breaker(fn, {offset}, False)
    with contextlib.suppress(ValueError):
        broken.entry(arg)
    return broken.arrivals


class Counted:
    def __init__(self, n):
        self.n = say(n)

    def __add__(self, other):
        return say(self.n) + other

    def __eq__(self, other):
        return say(self.n == other)

    def __setitem__(self, key, value):
        say(key, value)

    @property
    def double(self):
        return say(self.n) * 2


def new(n):
    return Counted(n).n


def added(c):
    return c + 1, 2


def compared(c):
    if c == 3:
        return "three"
    return "other"


def stored(c):
    c["k"] = 5
    return c.n


def attribute(c):
    return c.double, c.double


IMPLICIT = [
    (new, (3,), "CALL", Counted.__init__, lambda ops: (made := Counted.__new__(Counted), (made, *ops[1:]), made)),
    (added, (Counted(2),), "BINARY_OP", Counted.__add__, lambda ops: (None, tuple(ops), NULL)),
    (compared, (Counted(3),), "COMPARE_OP", Counted.__eq__, lambda ops: (None, tuple(ops), NULL)),
    (stored, (Counted(1),), "STORE_SUBSCR", Counted.__setitem__, lambda ops: (None, (ops[1], ops[2], ops[0]), NULL)),
    (attribute, (Counted(4),), "LOAD_ATTR", Counted.double.fget, lambda ops: (None, tuple(ops), NULL)),
]


@pytest.mark.parametrize(("fn", "args", "op", "callee", "operands"), IMPLICIT, ids=[row[0].__name__ for row in IMPLICIT])
def test_calls_that_are_no_call_instructions_can_be_inlined_too(fn, args, op, callee, operands):
    pops = {"CALL": 2, "BINARY_OP": 2, "COMPARE_OP": 2, "STORE_SUBSCR": 3, "LOAD_ATTR": 1}[op]
    step = next(s for s in normalised(fn.__code__).steps if s.op == op)
    site = flow(fn.__code__).unit(step.instr)[0].offset
    want = outcome(fn, args, 1)
    for offset in [i.offset for i in flow(callee.__code__).breakable()]:
        LOG.clear()
        helper = Inliner([fn], site, None)
        _, slots, stack = helper.reach(fn, copy.deepcopy(args), {}, {site})
        if op == "CALL":
            called, values = call_operands(stack, step.arg)
            popped = [called, *values]
        else:
            popped = stack[-pops:]
            del stack[-pops:]
        _, inner_args, result = operands(popped)
        _, inner_slots, inner_stack = helper.reach(callee, inner_args, {}, {offset})
        frames = [Frame(fn, site, FrameState(slots, stack)), Frame(callee, offset, FrameState(inner_slots, inner_stack), result)]
        got = continue_frames(frames, Continuations())
        assert (("returned", repr(got)), repr(LOG)) == want[:2], offset


def handles(n):
    for k in range(n):
        try:
            say(k)
            raise KeyError(k)
        except KeyError as error:
            seen = say("in", error.args)
        say("behind")
    return seen


def test_capture_goes_on_behind_a_handler_and_never_inside():
    got = []

    def hook(resume):
        got.append(resume)
        return resume

    raising = next(s.instr.offset for s in normalised(handles.__code__).steps if s.op == "RAISE_VARARGS")
    broken = Breaker(handles, {raising}, False, hook, Continuations)
    assert outcome(broken.entry, (3,), 1) == outcome(handles, (3,), 1)
    assert len(got) == 1, "what lies behind the handler"


def test_a_resume_function_takes_the_packed_frame():
    def fn(a, b):
        c = a + b
        return c * a

    after = next(s.instr for s in normalised(fn.__code__).steps if s.op == "BINARY_OP" and s.arg == "*")
    resumed = make_function(resume_code(fn.__code__, Shape(after.offset, 2, frozenset({1}))), fn.__globals__)
    assert resumed(pack(FrameState([3, NULL, 7], [7, 3]))) == 21
    assert resumed.__name__ == fn.__name__ and resumed.__globals__ is fn.__globals__


def test_what_cannot_be_continued_says_why():
    def generates():
        yield 1

    async def waits():
        return 1

    assert "generator" in refusal(generates.__code__) and "generator" in refusal(waits.__code__)
    assert "class or module" in refusal(compile("x = 1", "f", "exec"))
    with pytest.raises(ValueError, match="generator"):
        continue_frames([Frame(generates, 0, FrameState([], []))], Continuations())
    with pytest.raises(ValueError, match="slots"):
        continue_frames([Frame(strict, 2, FrameState([], []))], Continuations())
    assert flow(strict.__code__).at[0] not in flow(strict.__code__).breakable()


def test_the_ways_out_of_a_breaking_unit():
    def fn(xs):
        for x in xs:
            say(x, end=x)
        return

    graph, steps = flow(fn.__code__), normalised(fn.__code__).steps
    last = graph.unit(graph.at[next(s.instr.offset for s in steps if s.op == "CALL")])[-1]
    assert last.op in ("CALL", "CALL_KW") and [way.kind for way in graph.ways(last)] == ["next"]
    last = graph.unit(graph.at[next(s.instr.offset for s in steps if s.op == "FOR_ITER")])[-1]
    assert {way.kind for way in graph.ways(last)} == {"jump", "next"}

