"""Autograd beside PyTorch, as its notes on mechanics, its documentation of hooks and its own tests use it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent))
from gradient_programs import Table, caught, differences, outcome

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

program = Table()

# -- what is saved, and when it may change ---------------------------------------------------------------------------------


@program
def saved_values_have_names(t: Any, n: Any) -> Any:
    x = n(5).requires_grad_()
    y, z = x.pow(2), x.exp()
    return (
        x.equal(y.grad_fn._saved_self),
        x is y.grad_fn._saved_self,
        z.equal(z.grad_fn._saved_result),
        z is z.grad_fn._saved_result,
    )


@program
def saved_value_written(t: Any, n: Any) -> Any:
    x = n(5).requires_grad_()
    y = x.exp()
    y.mul_(3)
    return y.sum().backward()


@program
def unsaved_value_written(t: Any, n: Any) -> Any:
    x = n(5).requires_grad_()
    y = x * 2
    y.mul_(3)
    y.sum().backward()
    return x.grad


@program
def operand_written(t: Any, n: Any) -> Any:
    x, w = n(3).requires_grad_(), n(3)
    y = x * w
    w.add_(1)
    return y.sum().backward()


@program
def written_through_a_view_of_it(t: Any, n: Any) -> Any:
    x, w = n(3).requires_grad_(), n(3)
    y = x * w
    w[1:].zero_()
    return y.sum().backward()


@program
def versions(t: Any, n: Any) -> Any:
    x = n(3)
    v = [x._version]
    x.add_(1)
    v.append(x._version)
    x[0].mul_(2)
    v.append(x._version)
    y = x.detach()
    y.zero_()
    return [*v, x._version, y._version]


@program
def leaf_written(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    views = x[0:2]
    with t.no_grad():
        x.add_(1)
    return (
        caught(lambda: x.add_(1)),
        caught(lambda: x.zero_()),
        caught(lambda: x.__setitem__(0, 1.0)),
        caught(lambda: views.mul_(2)),
        caught(lambda: x[0].fill_(2)),
        x,
    )


@program
def second_backward(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x.exp().sum()
    y.backward()
    linear = (x + 1).sum()
    linear.backward()
    linear.backward()
    return caught(lambda: y.backward()), caught(lambda: t.autograd.grad(y, x)), x.grad


@program
def freed_values(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x.exp()
    y.sum().backward()
    return caught(lambda: y.grad_fn._saved_result)


@program
def retained_graph(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@program
def no_scalar(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x * 2
    return (
        caught(lambda: y.backward()),
        caught(lambda: y.backward(n(2))),
        caught(lambda: n(3).sum().backward()),
        caught(lambda: t.autograd.grad(y, x)),
        caught(lambda: t.autograd.grad(n().requires_grad_(), x)),
        caught(lambda: t.autograd.grad(y.sum(), n(3))),
        caught(lambda: t.autograd.grad(y.sum(), [])),
    )


@program
def integer_and_bool_outputs(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    return (
        (x > 0).requires_grad,
        x.argmax().requires_grad,
        x.long().requires_grad,
        caught(lambda: t.tensor([1, 2]).requires_grad_()),
        caught(lambda: t.ones(2, dtype=t.int64, requires_grad=True)),
        x.sign().requires_grad,
        x.round().requires_grad,
        caught(lambda: (x > 0).sum().backward()),
    )


@program
def gradient_of_nothing_used(t: Any, n: Any) -> Any:
    x, y = n(3).requires_grad_(), n(3).requires_grad_()
    g = t.autograd.grad
    z = (x * 2).sum()
    return (
        caught(lambda: g(z, y, retain_graph=True)),
        g(z, [x, y], allow_unused=True, retain_graph=True),
        g(z, [x, y], materialize_grads=True, retain_graph=True),
        caught(lambda: g(z, [x, y], allow_unused=False, materialize_grads=True)),
    )


@program
def gradients_accumulate(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    return first, first is x.grad, x.grad.requires_grad, x.grad.grad_fn is None


@program
def gradient_accumulates_with_create_graph(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    (x**3).sum().backward(create_graph=True)
    g = x.grad
    return first is g, g, t.autograd.grad(g.sum(), x)


@program
def grad_of_no_leaf(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x * 2
    y.sum().backward()
    return y.grad, y.is_leaf, y.retains_grad, x.is_leaf, x.retains_grad, caught(lambda: y.requires_grad_(False)), x.grad_fn


@program
def retain_grad(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    x.retain_grad()
    z = y * y
    z.sum().backward(retain_graph=True)
    a = y.grad.clone()
    z.sum().backward()
    return a, y.grad, y.retains_grad, x.retains_grad, caught(lambda: n(3).retain_grad())


@program
def retain_grad_and_in_place(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    return x.grad, y.grad


@program
def backward_to_inputs(t: Any, n: Any) -> Any:
    x, y = n(3).requires_grad_(), n(3).requires_grad_()
    z = x * y
    w = z.exp()
    w.sum().backward(inputs=[x], retain_graph=True)
    a = x.grad.clone(), y.grad
    w.sum().backward(inputs=(x, z), retain_graph=True)
    w.sum().backward(inputs=y, retain_graph=True)
    return (
        *a,
        x.grad,
        y.grad,
        z.grad,
        caught(lambda: w.sum().backward(inputs=[])),
        caught(lambda: w.sum().backward(inputs=[n(3)])),
    )


@program
def several_roots(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    t.autograd.backward([x.sum(), (x * x).sum()])
    a = x.grad.clone()
    t.autograd.backward((x * 2, x.prod()), (n(3), None))
    return (
        a,
        x.grad,
        caught(lambda: t.autograd.backward([x.sum(), x], [None, None])),
        caught(lambda: t.autograd.backward([x.sum()], [None, None])),
    )


@program
def gradients_of_a_root_itself(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = x * 2
    g = n(3)
    grad = t.autograd.grad
    return grad(x, x, g), grad(y, [y, x], g, retain_graph=True), grad([y, x], [x], [g, g])


@program
def the_same_input_twice(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    return t.autograd.grad((x * x).sum(), [x, x])


@program
def grad_outputs_with_a_history(t: Any, n: Any) -> Any:
    x, v = n(3).requires_grad_(), n(3).requires_grad_()
    (g,) = t.autograd.grad(x.exp(), x, v, create_graph=True)
    return g, t.autograd.grad(g.sum(), [x, v])


@program
def third_order(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = (x.sin() * x.exp()).sum()
    made = []
    for _ in range(4):
        (g,) = t.autograd.grad(y, x, create_graph=True)
        made.append(g)
        y = g.sum()
    return made


@program
def gradient_penalty(t: Any, n: Any) -> Any:
    lin = t.nn.Linear(3, 1).double()
    with t.no_grad():
        lin.weight.copy_(n(1, 3))
        lin.bias.fill_(0.1)
    x = n(4, 3).requires_grad_()
    (g,) = t.autograd.grad(lin(x).tanh().sum(), x, create_graph=True)
    (g.norm(2, dim=1) - 1).pow(2).mean().backward()
    return lin.weight.grad, lin.bias.grad, x.grad


# -- modes -----------------------------------------------------------------------------------------------------------------


@program
def no_grad_and_enable_grad(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    made = []
    with t.no_grad():
        made.append((x * 2).requires_grad)
        made.append(x.view(3).requires_grad)
        with t.enable_grad():
            made.append((x * 2).requires_grad)
        made.append(t.is_grad_enabled())
        made.append(n(2).requires_grad_().requires_grad)
        with t.set_grad_enabled(True):
            made.append((x * 2).requires_grad)
    t.set_grad_enabled(False)
    made.append(t.is_grad_enabled())
    t.set_grad_enabled(True)
    return made


@program
def modes_as_decorators(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()

    @t.no_grad()
    def a() -> Any:
        return (x * 2).requires_grad, t.is_grad_enabled()

    @t.enable_grad()
    def b() -> Any:
        return (x * 2).requires_grad

    @t.inference_mode()
    def c() -> Any:
        return (x * 2).requires_grad

    @t.set_grad_enabled(False)
    def d() -> Any:
        return t.is_grad_enabled()

    @t.no_grad
    def e() -> Any:
        yield t.is_grad_enabled()
        yield (x * 2).requires_grad

    with t.no_grad():
        inner = b()
    return a(), b(), inner, c(), d(), list(e()), t.is_grad_enabled()


@program
def mode_survives_an_error(t: Any, n: Any) -> Any:
    def fail() -> Any:
        with t.no_grad():
            raise ValueError

    return caught(fail), t.is_grad_enabled()


@program
def detach(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = (x * 2).detach()
    z = x * 3
    w = z.detach_()
    y[0] = 7
    return y.requires_grad, y.is_leaf, z.requires_grad, w is z, z.grad_fn is None, x.detach().data_ptr() == x.data_ptr()


@program
def views_of_a_leaf_cannot_detach_in_place(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    return caught(lambda: x[0:2].detach_()), caught(lambda: x.view(3).detach_())


@program
def requires_grad_set(t: Any, n: Any) -> Any:
    x = n(3)
    x.requires_grad = True
    a = x.requires_grad
    x.requires_grad = False
    y = n(3).requires_grad_() * 2
    return a, x.requires_grad, caught(lambda: setattr(y, "requires_grad", False)), y.requires_grad_() is y


# -- views and in-place writes -----------------------------------------------------------------------------------------------


@program
def view_written(t: Any, n: Any) -> Any:
    x = n(4).requires_grad_()
    y = x * 2
    v = y[1:3]
    v.mul_(x[:2])
    (y * n(4)).sum().backward()
    return x.grad, y, v, v.grad_fn is not None


@program
def base_written_under_a_view(t: Any, n: Any) -> Any:
    x = n(4).requires_grad_()
    y = x * 1
    v = y.view(2, 2)
    y.mul_(x)
    (v * n(2, 2)).sum().backward()
    return x.grad


@program
def views_of_views(t: Any, n: Any) -> Any:
    x = n(2, 3, 4).requires_grad_()
    y = x.clone()
    y.transpose(0, 2)[1].select(0, 1).mul_(3)
    y[0].t().diagonal().add_(x[1, 0, 0])
    y.unsqueeze(0).squeeze(0).narrow(1, 0, 2).copy_(x[:, 1:])
    (y * n(2, 3, 4)).sum().backward()
    return x.grad


@program
def plain_base_gets_a_history(t: Any, n: Any) -> Any:
    w = n(3).requires_grad_()
    out = t.zeros(2, 3, dtype=t.float64)
    out[0] = w * 2
    out[1].copy_(w)
    row = out[0]
    (out * n(2, 3)).sum().backward()
    return w.grad, out, row.requires_grad


@program
def plain_base_written_through_its_view(t: Any, n: Any) -> Any:
    w = n(3).requires_grad_()
    out = t.zeros(2, 3, dtype=t.float64)
    row = out[0]
    row.copy_(w)
    other = out.view(6)
    return out.requires_grad, row.requires_grad, other.requires_grad, t.autograd.grad((out * n(2, 3)).sum(), w)


@program
def plain_base_with_a_view_alive(t: Any, n: Any) -> Any:
    w = n(3).requires_grad_()
    out = t.zeros(2, 3, dtype=t.float64)
    row = out[1]
    out.add_(w)
    return row.requires_grad, t.autograd.grad((row * n(3)).sum(), w)


@program
def filled_buffer(t: Any, n: Any) -> Any:
    w = n(4).requires_grad_()
    out = t.empty(4, dtype=t.float64)
    for i in range(4):
        out[i] = w[: i + 1].prod()
    out.sum().backward()
    return w.grad


@program
def in_place_of_everything(t: Any, n: Any) -> Any:
    x = n(4).requires_grad_()
    made = []
    for name, args in (
        ("exp_", ()),
        ("sigmoid_", ()),
        ("tanh_", ()),
        ("relu_", ()),
        ("clamp_", (-0.5, 0.5)),
        ("pow_", (2,)),
        ("mul_", (x,)),
        ("div_", (3.0,)),
        ("sub_", (x,)),
        ("addcmul_", (x, x)),
        ("lerp_", (x, 0.3)),
        ("masked_fill_", (x > 0, 2.0)),
        ("index_fill_", (0, t.tensor([1]), 3.0)),
        ("zero_", ()),
        ("fill_", (2.0,)),
        ("t_", ()),
        ("unsqueeze_", (0,)),
        ("neg_", ()),
        ("copy_", (x,)),
        ("scatter_", (0, t.tensor([0, 1]), x[:2])),
        ("index_add_", (0, t.tensor([0, 0]), x[:2])),
        ("floor_", ()),
        ("sqrt_", ()),
        ("cumsum_", (0,)),
        ("triu_", ()),
        ("index_copy_", (0, t.tensor([2]), x[:1])),
        ("put_", (t.tensor([1]), x[:1])),
        ("index_put_", ((t.tensor([1]),), x[0])),
        ("resize_", (4,)),
        ("squeeze_", ()),
    ):
        y = (x * x + 1).view(2, 2) if name == "triu_" else x * x + 1

        def run(y: Any = y, name: str = name, args: Any = args) -> Any:
            z = getattr(y, name)(*args)
            return z is y, t.autograd.grad(y.sum(), x)

        made.append((name, caught(run)))
    return made


@program
def expanded_written(t: Any, n: Any) -> Any:
    x = n(1).requires_grad_()
    return caught(lambda: (x * 2).expand(3).mul_(2))


@program
def gradients_keep_shape_and_dtype(t: Any, n: Any) -> Any:
    x, y = n(3, 1).requires_grad_(), n(4, dtype="float32").requires_grad_()
    z = n().requires_grad_()
    (x * y + z).sum().backward()
    return x.grad, y.grad, z.grad


@program
def real_part_of_complex(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    c = t.complex(x, x * 2)
    (c * c.conj()).real.sum().backward()
    z = t.complex(n(2), n(2)).requires_grad_()
    (z.abs() ** 2).sum().backward()
    w = t.complex(n(2), n(2)).requires_grad_()
    (w**2).real.sum().backward()
    v = t.complex(n(2), n(2)).requires_grad_()
    (v.exp() * v.imag).imag.sum().backward()
    u = t.complex(n(2), n(2)).requires_grad_()
    return (
        x.grad,
        z.grad,
        w.grad,
        v.grad,
        caught(lambda: u.sum().backward()),
        t.autograd.grad(u.angle().sum(), u),
        t.autograd.grad(t.view_as_real(u).pow(2).sum(), u),
    )


@program
def complex_times_real(t: Any, n: Any) -> Any:
    x, z = n(2).requires_grad_(), t.complex(n(2), n(2)).requires_grad_()
    v = t.complex(n(2), n(2))
    return t.autograd.grad(x * z, [x, z], v), t.autograd.grad((z @ z), [z], v[0]), t.autograd.grad(z / x, [x, z], v)


@program
def non_differentiable_points(t: Any, n: Any) -> Any:
    made = []
    for fn in (
        lambda x: x.abs(),
        lambda x: x.relu(),
        lambda x: x.sqrt(),
        lambda x: x.clamp(0, 1),
        lambda x: x.norm(),
        lambda x: x.sign(),
        lambda x: x.norm(1),
        lambda x: x**0,
        lambda x: x**0.5,
        lambda x: x**2,
        lambda x: x.max(),
        lambda x: x.amax(),
        lambda x: t.max(x, -x),
        lambda x: x.prod(),
        lambda x: x.std(),
        lambda x: x.log(),
        lambda x: 0 * x.log(),
        lambda x: t.where(x > 0, x.sqrt(), x),
        lambda x: t.nn.functional.hardtanh(x),
        lambda x: x.cumprod(0),
        lambda x: t.nan_to_num(x.log()),
        lambda x: t.atan2(x, x),
        lambda x: x.fmod(2),
        lambda x: x.trunc(),
        lambda x: x.frac(),
        lambda x: t.nn.functional.leaky_relu(x),
        lambda x: t.nn.functional.relu6(x),
        lambda x: t.xlogy(x, x),
        lambda x: t.sinc(x),
    ):
        x = t.zeros(3, dtype=t.float64, requires_grad=True)
        made.append(caught(lambda fn=fn, x=x: t.autograd.grad(fn(x).sum(), x)))
    return made


@pytest.mark.parametrize("name", program)
def test_as_pytorch(name: str) -> None:
    assert differences(outcome(program[name], fw), outcome(program[name], torch)) == []
