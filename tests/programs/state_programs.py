"""Programs that once differed when compiled, one per class of fault: state that is deleted, copied, compared or handed on.

Each is called with `wrap` (`fusewire.compile`, or nothing) and returns everything it observed.
"""

import math
import operator
import types

import fusewire as fw

PROGRAMS = []


def program(fn):
    PROGRAMS.append(fn)
    return fn


def vector(*values):
    return fw.tensor([float(v) for v in values])


def raised(fn, *args):
    try:
        return fn(*args)
    except Exception as exc:
        return type(exc).__name__


class Slotted:
    __slots__ = ("a", "b")


@program
def a_slot_is_deleted_and_read(wrap):
    @wrap
    def fn(o, x, again):
        del o.a
        if again:
            del o.a
        try:
            return o.a
        except AttributeError:
            return x * 2

    seen = []
    for again in (False, True, False):
        o = Slotted()
        o.a = 1.0
        seen += [raised(fn, o, vector(1), again), hasattr(o, "a")]
    return seen


@program
def an_empty_slot_is_filled_later(wrap):
    fn, o = wrap(lambda o, x: x * (o.a if hasattr(o, "a") else 7.0)), Slotted()
    seen = [fn(o, vector(1))]
    o.a = 2.0
    seen.append(fn(o, vector(1)))
    del o.a
    return [*seen, fn(o, vector(1))]


@program
def a_module_attribute_is_deleted(wrap):
    module = types.ModuleType("module")

    @wrap
    def fn(x):
        names = vars(module)
        names["made"] = 3
        found = "made" in names, names.pop("made"), "made" in names, hasattr(module, "z")
        try:
            del module.z
            return module.z, found
        except AttributeError:
            return x + 1, found

    seen = [fn(vector(0))]
    for i in range(3):
        module.z = 5.0
        seen += [fn(vector(i)), hasattr(module, "z")]
    return seen


@program
def a_container_changes_after_its_items_were_taken(wrap):
    @wrap
    def fn(xs, d, x):
        ys, e = [1], {"a": 1}
        xs += ys
        ys.append(x)
        xs.extend(ys)
        xs += iter([5])
        xs += e.values()
        ys.append(2)
        d.update(e)
        e["b"] = x
        d |= e
        e["c"] = 3
        return x * len(xs)

    xs, d = [], {}
    return [fn(xs, d, vector(i)) for i in range(3)], xs, d


@program
def a_function_counts_in_an_attribute(wrap):
    def helper(): ...

    def fn(x):
        helper.calls = getattr(helper, "calls", 0) + 1
        own.calls = getattr(own, "calls", 0) + 1
        y = x * helper.calls
        helper.last = 1
        del helper.last
        return y * own.calls, hasattr(helper, "last")

    own = wrap(fn)
    return [own(vector(1, 2)) for _ in range(4)], helper.calls, own.calls


@program
def exceptions_are_values(wrap):
    @wrap
    def fn(x):
        try:
            try:
                {}["k"]
            except KeyError as cause:
                raise ValueError("v") from cause
        except ValueError as error:
            caught = error
        made = KeyError("m")
        made.__cause__ = caught
        return caught, made, StopIteration(5), SystemExit(3), ImportError("x", name="n"), OSError(2, "no"), x * 2

    seen = []
    for _ in range(3):
        caught, made, stop, leave, missing, system, x = fn(vector(1))
        seen.append((repr(caught.__cause__), caught.__traceback__ is None, repr(caught.__context__), repr(made.__cause__)))
        seen.append((made.__suppress_context__, stop.value, leave.code, missing.name, system.errno, repr(system), x))
    return seen


@program
def a_dict_of_objects_is_copied(wrap):
    class Key: ...

    key = Key()

    @wrap
    def fn(d, x):
        copied, merged = dict(d), {"a": 0}
        merged.update(d)
        return x * copied[key] + {**d}[key] + merged[key]

    return [fn({key: v}, vector(1)) for v in (1.0, 2.0, 3.0)]


class Plain: ...


@program
def objects_are_compared_by_identity(wrap):
    @wrap
    def fn(a, b, items, x):
        found = (a == b, a != b, a in items, [a] == [b], len({a, b}), {b: 1.0}.get(a, 9.0), items.count(a))
        return x * (2 if a == b else 3), found, operator.is_(a, b)

    a, b, x = Plain(), Plain(), vector(1)
    return [fn(p, q, items, x) for p, q, items in ((a, b, [b]), (a, a, [a]), (b, b, [a]), (b, a, [a, b]), (a, b, [a]))]


@program
def functions_and_tensors_are_keys(wrap):
    def make(v):
        return lambda: v

    first, second, t, u = make(1.0), make(2.0), vector(1), vector(2)
    table = {first: 1.0, second: 2.0, t: 3.0, u: 4.0}
    fn = wrap(lambda key, x: x * (table[key] if key in table else 7.0))  # noqa: SIM401
    return [fn(key, vector(1)) for key in (first, second, t, u, vector(1), first)]


class Number:
    def __init__(self, k):
        self.k = k

    def __lt__(self, other):
        return self.k < other.k

    def __float__(self):
        return float(self.k)

    def __index__(self):
        return int(self.k)

    def __bool__(self):
        return self.k > 1

    def __iter__(self):
        return iter([self.k])

    def __str__(self):
        return f"number {self.k}"


@program
def native_code_meets_objects_with_code(wrap):
    @wrap
    def fn(a, b, xs, x):
        xs += a
        texts = "%s" % a, "x" * a, [0] * a, list(range(a)), hex(a), x[a], x.reshape(a, -1), int(slice(a).stop)  # noqa: UP031
        return x * math.sqrt(a), texts, sorted([b, a])[0].k, a < b, max(a, b).k, operator.truth(a), math.fsum([a, b])

    a, b, xs, seen = Number(1), Number(2), [], []
    for k in (1, 2, 3, 1):
        a.k = k
        seen.append(fn(a, b, xs, vector(1, 2, 3, 4, 5, 6)))
    return seen, xs


@program
def the_operator_module_changes_things(wrap):
    @wrap
    def fn(xs, d, x):
        operator.setitem(xs, 0, 9)
        operator.delitem(d, "z")
        operator.iconcat(xs, [2])
        return x * xs[0] + len(d) + len(xs)

    xs, seen = [0], []
    for i in range(3):
        seen.append(fn(xs, {"z": 1}, vector(i)))
    return seen, xs


@program
def a_class_between_gets_the_method(wrap):
    class Base:
        def call(self, x):
            return x + 1

    class Middle(Base): ...

    class Last(Middle):
        def call(self, x):
            return super().call(x) * 2

    fn, last = wrap(lambda o, x: o.call(x)), Last()
    seen = [fn(last, vector(1))]
    Middle.call = lambda self, x: x * 50
    seen.append(fn(last, vector(1)))
    del Middle.call
    return [*seen, fn(last, vector(1))]


@program
def a_compiled_function_calls_another(wrap):
    log, total = [], 0

    @wrap
    def inner(x, k):
        nonlocal total
        total += k
        log.append(k)
        return x * total

    fn = wrap(lambda x, k: inner(x, k) + inner(x, k + 1))
    return [fn(vector(1), k) for k in (1, 2, 2)], [type(k).__name__ for k in log], log, total


@program
def exceptions_come_in_groups(wrap):
    @wrap
    def fn(x, k):
        group = ExceptionGroup("several", [ValueError(k), KeyError("z")])
        try:
            raise group
        except* ValueError as found:
            x = x * len(found.exceptions) + k
        except* KeyError:
            x = x + 100
        return x, ExceptionGroup("made", [ValueError(k)]).exceptions

    return [fn(vector(1), k) for k in (1, 2, 2)]


@program
def compiled_functions_are_exchanged(wrap):
    def make(k):
        return wrap(lambda x: x * 2) if k else wrap(lambda x: x * 5)

    @wrap
    def inner(x, k=2.0, *, z=1.0):
        return x * k + z

    current, x = make(1), vector(1)
    fn = wrap(lambda x: (current(x), inner(x)))
    seen = [fn(x)]
    current = make(0)
    seen.append(fn(x))
    inner.__defaults__ = (5.0,)
    seen.append(fn(x))
    inner.__kwdefaults__["z"] = 9.0
    return [*seen, fn(x)]
