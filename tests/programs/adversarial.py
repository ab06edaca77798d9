"""Small programs made to catch a compiler out: what a compiled function depends on changes between its calls.

Each program is called with `wrap`, which is `fusewire.compile` or does nothing, and returns everything that it observed: results,
mutated inputs, attributes, logs, exceptions. Both runs must observe the same.
"""
# ruff: noqa: B006, SIM905 - odd code is the point

import contextlib
import io
import math
import types

import fusewire as fw
from fusewire import nn

PROGRAMS = []


def program(fn):
    PROGRAMS.append(fn)
    return fn


def vector(*values, **options):
    return fw.tensor([float(v) for v in values], **options)


def raised(fn, *args, **kwargs):
    """What kind of exception a call raises."""
    try:
        return fn(*args, **kwargs)
    except Exception as exc:
        return type(exc).__name__


SCALE = 2.0


@program
def global_number_changes(wrap):
    global SCALE

    @wrap
    def fn(x):
        return x * SCALE

    seen, x = [], vector(1, 2)
    for value in (2.0, 3.0, 3, True, 2.0, -0.0):
        SCALE = value
        seen.append(fn(x))
    SCALE = vector(5, 6)
    seen.append(fn(x))
    SCALE = 2.0
    return seen


def helper(x):
    return x + 1


def other_helper(x):
    return x * 10


@program
def global_function_is_rebound(wrap):
    fn = wrap(lambda x: globals()["helper"](x) if False else helper(x) * 2)
    seen, old, x = [], helper, vector(1, 2)
    seen.append(fn(x))
    globals()["helper"] = other_helper
    seen.append(fn(x))
    globals()["helper"] = old
    seen.append(fn(x))
    code = old.__code__
    old.__code__ = other_helper.__code__
    seen.append(fn(x))
    old.__code__ = code
    seen.append(fn(x))
    return seen


@program
def builtin_is_shadowed(wrap):
    space = {"fw": fw}
    exec("def fn(x):\n    return x * len([x, x])\n", space)
    fn, x = wrap(space["fn"]), vector(1, 2)
    seen = [fn(x)]
    space["len"] = lambda xs: 7
    seen.append(fn(x))
    del space["len"]
    seen.append(fn(x))
    return seen


@program
def closure_counts(wrap):
    count, table = 0, {"k": 1.0}

    @wrap
    def fn(x):
        nonlocal count
        count += 1
        return x * count + table["k"]

    seen = []
    for k in range(3):
        seen.append(fn(vector(1, 2)))
        table["k"] += 0.5
        count += k
    table = {"k": 9.0}
    seen.append(fn(vector(1, 2)))
    return seen, count


@program
def defaults_change(wrap):
    def inner(x, scale=[2.0], *, shift=1.0):
        return x * scale[0] + shift

    fn, x = wrap(lambda x: inner(x)), vector(1, 2)
    seen = [fn(x)]
    inner.__defaults__[0][0] = 4.0
    seen.append(fn(x))
    inner.__defaults__ = ([5.0],)
    seen.append(fn(x))
    inner.__kwdefaults__["shift"] = -1.0
    seen.append(fn(x))
    return seen


class Box:
    factor = 3.0

    def __init__(self, bias):
        self.bias = bias
        self.calls = 0

    def apply(self, x):
        self.calls += 1
        return x * self.factor + self.bias


class Doubling(Box):
    @property
    def factor(self):
        return 2.0 * self.calls


@program
def attributes_change(wrap):
    box = Box(1.0)
    fn, x = wrap(lambda x: box.apply(x)), vector(1, 2)
    seen = [fn(x)]
    box.bias = vector(5, 6)
    seen.append(fn(x))
    box.factor = 7.0
    seen.append(fn(x))
    del box.factor
    seen.append(fn(x))
    box.__class__ = Doubling
    seen.append(fn(x))
    box.__class__ = Box
    box.apply = types.MethodType(lambda self, x: x - self.bias, box)
    seen.append(fn(x))
    del box.bias
    seen.append(raised(fn, x))
    return seen, box.calls


@program
def class_attribute_and_method_change(wrap):
    class Layer(Box):
        pass

    layer = Layer(0.5)
    fn, x = wrap(lambda b, x: b.apply(x)), vector(1, 2)
    seen = [fn(layer, x)]
    Layer.factor = 4.0
    seen.append(fn(layer, x))
    Layer.apply = lambda self, x: x / self.factor
    seen.append(fn(layer, x))
    seen.append(fn(Box(2.0), x))
    del Layer.apply, Layer.factor
    seen.append(fn(layer, x))
    return seen, layer.calls


@program
def equal_but_not_the_same_type(wrap):
    @wrap
    def fn(x, flag):
        if flag is True:
            return x * 2
        if isinstance(flag, float):
            return x * 3
        return x + flag if flag is not None else x

    x = vector(1, 2)
    return [fn(x, flag) for flag in (True, 1, 1.0, 1, True, None, 0, False, 0.0, 2, 2.5)]


@program
def odd_floats(wrap):
    fn = wrap(lambda x, s: (x * s, x / s if s != 0 else s))
    x = vector(1, -2, 0)
    return [fn(x, s) for s in (0.0, -0.0, math.inf, math.nan, math.nan, 1e300, 5e-324, -1.0)]


@program
def big_integers(wrap):
    fn = wrap(lambda x, n: (x + n, n * n))
    x = fw.tensor([1, 2])
    return [fn(x, n) for n in (1, 2, 3, 2**31, -(2**31) - 1, 2**40, 0)]


@program
def list_argument_changes(wrap):
    @wrap
    def fn(xs):
        total = xs[0] * 0
        for k, x in enumerate(xs):
            total = total + x * (k + 1)
        xs.append(total)
        return total, len(xs)

    xs = [vector(1, 2), vector(3, 4)]
    seen = [fn(xs), fn(xs)]
    xs.reverse()
    seen.append(fn(xs))
    del xs[1:]
    seen.append(fn(xs))
    xs[0] = vector(7, 8, 9)
    seen.append(raised(fn, xs))
    return seen, xs


@program
def dict_argument_changes(wrap):
    @wrap
    def fn(table, x):
        for name, value in table.items():
            x = x * 2 + value if name.startswith("a") else x - value
        table["last"] = x
        return x, list(table)

    table, x = {"a": 1.0, "b": 2.0}, vector(1, 2)
    seen = [fn(table, x)]
    table["a"] = table.pop("a")
    seen.append(fn(table, x))
    table.pop("last")
    table["ab"] = vector(3, 3)
    seen.append(fn(table, x))
    table.clear()
    seen.append(fn(table, x))
    return seen, list(table.items())


@program
def one_container_under_two_names(wrap):
    @wrap
    def fn(a, b, x):
        a.append(x)
        b.append(x * 2)
        return len(a), len(b), a is b

    one, two = [], []
    return fn(one, two, vector(1)), fn(one, one, vector(2)), fn(two, one, vector(3)), one, two


@program
def write_through_a_view(wrap):
    @wrap
    def fn(x):
        row = x[0]
        row.add_(10)
        flat = x.view(-1)
        flat[3] = -1.0
        return row, x.sum(), flat

    x = fw.arange(6.0).view(2, 3)
    first = fn(x)
    first[0].mul_(2)
    return first, x, fn(x), x


@program
def aliased_inputs(wrap):
    @wrap
    def fn(a, b):
        a.mul_(2)
        return a + b

    a, b = vector(1, 2), vector(3, 4)
    seen = [fn(a, b), fn(a, a), fn(b, a), fn(b, b), fn(a, b)]
    return seen, a, b


@program
def overlapping_inputs(wrap):
    @wrap
    def fn(a, b):
        a += 1
        b *= 2
        return a.sum() + b.sum()

    base = fw.arange(6.0)
    seen = [fn(base[:3], base[3:]), fn(base[:4], base[2:]), fn(base[2:], base[:4]), fn(base, base[1:2])]
    return seen, base


@program
def result_is_the_input(wrap):
    @wrap
    def fn(x, keep):
        return x if keep else x + 0, x.view(1, -1)

    x = vector(1, 2)
    same, view = fn(x, True)
    same.add_(1)
    view.mul_(3)
    copy, _ = fn(x, False)
    copy.add_(100)
    return x, same is x, same, view, copy


@program
def transposed_and_sliced_inputs(wrap):
    @wrap
    def fn(x):
        y = x * 2 + 1
        return y, y.stride(), x.t().contiguous().view(-1), x.sum(0)

    x = fw.arange(12.0).view(3, 4)
    return [fn(v) for v in (x, x.t(), x[:, 1:3], x[::2], x.t()[1:], x[:0], x[:1].expand(3, 4))]


@program
def dtypes_change(wrap):
    fn = wrap(lambda x, y: (x + y, x * 2, x / 2, (x > y).sum()))
    kinds = [fw.float32, fw.float64, fw.int64, fw.int32, fw.uint8, fw.float16]
    return [fn(fw.tensor([1, 2, 3], dtype=a), fw.tensor([3, 2, 1], dtype=b)) for a in kinds for b in kinds[:3]]


@program
def shapes_change(wrap):
    @wrap
    def fn(x, y):
        if x.shape[0] > 2:
            return (x + y).sum(), x.shape[0] * 2
        return x * y, x.numel(), x.dim()

    shapes = [((2,), (2,)), ((3,), (3,)), ((3,), (1,)), ((1, 3), (3, 1)), ((4, 2), (2,))]
    shapes += [((0, 2), (2,)), ((3, 0), (1,)), ((5,), (5,))]
    seen = [fn(fw.ones(*a), fw.ones(*b) * 2) for a, b in shapes]
    return seen, raised(fn, fw.ones(3), fw.ones(4)), raised(fn, fw.ones(2), fw.ones(3))


@program
def grad_mode_changes(wrap):
    fn = wrap(lambda x, w: (x * w).sum())
    x, w, seen = vector(1, 2), vector(3, 4, requires_grad=True), []
    out = fn(x, w)
    out.backward()
    seen += [out.detach(), out.requires_grad, w.grad.clone()]
    with fw.no_grad():
        out = fn(x, w)
    seen += [out, out.requires_grad]
    w.requires_grad_(False)
    seen.append(fn(x, w).requires_grad)
    w.requires_grad_(True)
    x.requires_grad_(True)
    fn(x, w).backward()
    return [*seen, x.grad, w.grad]


@program
def grad_mode_inside(wrap):
    @wrap
    def fn(w):
        with fw.no_grad():
            a = w * 2
        b = w * 3
        c = (b.detach() + w) * b
        return a, b, c.sum(), fw.is_grad_enabled()

    w = vector(1, 2, requires_grad=True)
    a, b, c, mode = fn(w)
    c.backward()
    with fw.no_grad():
        inside = fn(w)
    return a, a.requires_grad, b.detach(), b.requires_grad, mode, w.grad, inside, inside[1].requires_grad


@program
def a_hook_is_added_later(wrap):
    fw.manual_seed(0)
    model, log = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), []
    fn, x = wrap(lambda x: model(x)), vector(1, -2)
    seen = [fn(x).detach()]
    handle = model[1].register_forward_hook(lambda m, args, out: (log.append(out.shape), out * 2)[1])
    seen += [fn(x).detach(), fn(x).detach()]
    handle.remove()
    seen.append(fn(x).detach())
    before = model.register_forward_pre_hook(lambda m, args: log.append(len(args)))
    seen.append(fn(x).detach())
    before.remove()
    return seen, log


@program
def a_module_is_changed(wrap):
    fw.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2))
    fn, x = wrap(lambda x: model(x)), vector(1, -2)
    model.eval()
    seen = [fn(x).detach()]
    model.train()
    fw.manual_seed(1)
    seen += [fn(x).detach(), fn(x).detach()]
    model.eval()
    with fw.no_grad():
        model[0].weight.fill_(0.5)
    seen.append(fn(x).detach())
    model[0].bias = None
    seen.append(fn(x).detach())
    model[2] = nn.Linear(2, 4, bias=False)
    with fw.no_grad():
        model[2].weight.fill_(2.0)
    seen.append(fn(x).detach())
    model[0].weight = nn.Parameter(fw.ones(2, 2))
    seen.append(fn(x).detach())
    model[0].weight.requires_grad_(False)
    seen.append(fn(x).requires_grad)
    return seen


@program
def buffers_are_counted(wrap):
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", fw.zeros(2))
            self.steps = 0

        def forward(self, x):
            self.steps += 1
            self.mean.mul_(0.9).add_(x * 0.1)
            self.last = x
            return x - self.mean

    model = Running()
    fn = wrap(model.forward)
    seen = [fn(vector(1, 2)), fn(vector(3, 4))]
    model.mean = vector(7, 7)
    seen.append(fn(vector(5, 6)))
    return seen, model.mean, model.steps, model.last


@program
def effects_before_an_exception(wrap):
    log = []

    @wrap
    def fn(x, table, n):
        log.append("start")
        x.add_(1)
        table["x"] = x
        y = x * 2
        log.append(10 // n)
        table["y"] = y
        y.add_(5)
        return y + fw.ones(n)

    seen, x, table = [], vector(1, 2), {}
    for n in (2, 0, 1, 3, 2):
        seen.append(raised(fn, x, table, n))
    return seen, x, sorted(table), table["y"], log


@program
def caught_inside(wrap):
    @wrap
    def fn(x, keys):
        out = []
        for key in keys:
            try:
                out.append({"a": x, "b": x * 2}[key])
            except KeyError as missing:
                out.append(str(missing))
            finally:
                x = x + 1
        return out, x

    x = vector(1, 2)
    return fn(x, "ab"), fn(x, "axb"), fn(x, []), fn(x, ["b", "q"])


@program
def prints_in_order(wrap):
    @wrap
    def fn(x, name):
        print("in", name)
        y = x * 2
        print("sum", y.sum().item())
        for k in range(2):
            print(k, name, end=";")
        return y

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        seen = [fn(vector(1, 2), "a"), fn(vector(3, 4), "b"), fn(vector(3, 4), "b")]
    return seen, text.getvalue()


@program
def reads_values_in_a_loop(wrap):
    @wrap
    def fn(x, limit):
        steps = 0
        while x.sum().item() < limit:
            x = x * 2
            steps += 1
            if steps > 5:
                break
        return x, steps

    return [fn(vector(1, 2), limit) for limit in (10, 3, 100, 1e9, 10)]


@program
def branches_on_a_tensor(wrap):
    @wrap
    def fn(x):
        if x.sum() > 0:
            return x + 1
        if (x == 0).all():
            return "zero"
        return x - 1

    return [fn(vector(*v)) for v in ((1, 2), (-1, -2), (0, 0), (1, 2), (3, -3))]


@program
def draws_random_numbers(wrap):
    @wrap
    def fn(x, scale):
        noise = fw.rand(2)
        fw.rand(3)
        return x + noise * scale, fw.rand(2)

    fw.manual_seed(3)
    seen = [fn(vector(0, 0), 1.0), fn(vector(0, 0), 2.0), fw.rand(2)]
    fw.manual_seed(3)
    return seen, fn(vector(0, 0), 1.0), fw.rand(1)


@program
def many_ways_to_call(wrap):
    @wrap
    def fn(a, /, b=2.0, *rest, key=1.0, **more):
        out = a * b + key
        for r in rest:
            out = out + r
        return out, sorted(more), more.get("extra")

    x = vector(1, 2)
    calls = [fn(x), fn(x, 3.0), fn(x, b=4.0), fn(x, 1.0, x, 2.0), fn(x, key=x)]
    calls += [fn(x, extra=x, other=1), fn(x, 1.0, *[x] * 3, key=0.0)]
    return calls, raised(fn), raised(fn, x, 1.0, b=2.0)


@program
def training_steps(wrap):
    fw.manual_seed(0)
    model = nn.Linear(2, 1)
    x, losses = vector(1, 2), []

    @wrap
    def step(rate):
        loss = (model(x) - 3.0).pow(2).sum()
        loss.backward()
        with fw.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        return loss.detach()

    losses.append(step(0.01))
    losses.append(step(0.01))
    model.weight.grad = None
    losses.append(step(0.02))
    model.bias.grad.zero_()
    losses.append(step(0.02))
    return losses, [p.detach() for p in model.parameters()], [p.grad for p in model.parameters()]


class Stack:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, k):
        return self.items[k]

    def __iter__(self):
        return iter(self.items[::-1])

    def __bool__(self):
        return self.items[0] is not None

    def __call__(self, x):
        return x * len(self)


@program
def objects_with_special_methods(wrap):
    @wrap
    def fn(s, x):
        if not s:
            return "empty"
        for item in s:
            x = x * 2 + item
        return s(x) + s[-1], len(s)

    items = [1.0, vector(2, 3)]
    s, x = Stack(items), vector(1, 2)
    seen = [fn(s, x)]
    items.append(3.0)
    seen.append(fn(s, x))
    items[0] = None
    seen.append(fn(s, x))
    s.items = [4.0]
    seen.append(fn(s, x))
    Stack.__iter__, kept = (lambda self: iter(self.items * 2)), Stack.__iter__
    seen.append(fn(s, x))
    Stack.__iter__ = kept
    return seen


@program
def keeps_what_it_made(wrap):
    kept = []

    @wrap
    def fn(x):
        y = x * 2
        kept.append(y)
        if len(kept) > 1:
            kept[0].add_(1)
        return y

    a = fn(vector(1, 2))
    b = fn(vector(3, 4))
    a.mul_(10)
    c = fn(vector(5, 6))
    return a, b, c, kept, kept[0] is a


@program
def generators_and_comprehensions(wrap):
    @wrap
    def fn(xs, f):
        pairs = [(k, x * k) for k, x in enumerate(xs) if k]
        total = sum(x.sum() for x in xs)
        table = {str(k): f(x) for k, x in pairs}
        return total, table, max(len(name) for name in "a bb ccc".split()), all(x.dim() == 1 for x in xs)

    xs = [vector(1, 2), vector(3, 4), vector(5, 6)]
    seen = [fn(xs, lambda x: x + 1), fn(xs[:2], lambda x: x * 0)]
    shift = [1.0]
    late = lambda x: x + shift[0]  # noqa: E731
    seen.append(fn(xs, late))
    shift[0] = 5.0
    seen.append(fn(xs, late))
    return seen
