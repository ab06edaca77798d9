"""Programs that once differed when compiled, one per class of fault: state that is deleted, copied, compared or handed on.

Each is called with `wrap` (`fusewire.compile`, or nothing) and returns everything it observed.
"""
# ruff: noqa: B018, F821, PLW0602, RUF005, SIM105 - odd code is the point

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
