"""`func`, `vmap` and forward mode beside PyTorch, as its tutorials and tests use them."""

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

# -- forward mode ------------------------------------------------------------------------------------------------------------


@program
def dual_numbers(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    primal, tangent = n(3, 3), n(3, 3)

    def fn(x: Any, y: Any) -> Any:
        return x**2 + y**2

    with ad.dual_level():
        dual = ad.make_dual(primal, tangent)
        made = [ad.unpack_dual(dual).tangent is tangent, ad.unpack_dual(dual).primal, ad.unpack_dual(dual).tangent]
        out = fn(dual, dual)
        value, jvp = ad.unpack_dual(out)
        made += [
            value,
            jvp,
            ad.unpack_dual(fn(primal, dual)).tangent,
            ad.unpack_dual(n(2)).tangent,
            dual.shape,
            dual.requires_grad,
        ]
        plain = ad.unpack_dual(out.detach())
        made += [plain.tangent is None]
    outside = ad.unpack_dual(n(2), level=0) if False else None
    return made, outside


@program
def dual_numbers_err(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad

    def inside(fn: Any) -> Any:
        with ad.dual_level():
            return fn()

    return (
        caught(lambda: ad.make_dual(n(2), n(2))),
        inside(lambda: caught(lambda: ad.make_dual(n(2), n(3)))),
        inside(lambda: caught(lambda: ad.make_dual(n(2), n(2, dtype="float32")))),
        inside(lambda: caught(lambda: ad.make_dual(t.tensor([1, 2]), t.tensor([1, 2])))),
        inside(lambda: caught(lambda: inside(lambda: 1))),
        caught(lambda: ad.exit_dual_level()),
        caught(lambda: ad.unpack_dual(n(2)).tangent),
        ad.UnpackedDualTensor._fields,
    )


@program
def dual_parameters_of_a_module(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    m = t.nn.Linear(3, 2).double()
    x = n(4, 3)
    params = {k: n(*p.shape) for k, p in m.named_parameters()}
    tangents = {k: n(*p.shape) for k, p in params.items()}
    with ad.dual_level():
        for k in list(params):
            delattr(m, k)
            setattr(m, k, ad.make_dual(params[k], tangents[k]))
        return ad.unpack_dual(m(x)).tangent


@program
def dual_numbers_and_functional_call(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2)).double()
    params = {k: n(*p.shape) for k, p in m.named_parameters()}
    tangents = {k: n(*p.shape) for k, p in params.items()}
    x = n(4, 3)
    with ad.dual_level():
        duals = {k: ad.make_dual(p, tangents[k]) for k, p in params.items()}
        a = ad.unpack_dual(t.func.functional_call(m, duals, x)).tangent
    return a, t.func.jvp(lambda p: t.func.functional_call(m, p, x), (params,), (tangents,))


@program
def forward_over_backward(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    x, v = n(3).requires_grad_(), n(3)
    with ad.dual_level():
        dual = ad.make_dual(x, v)
        y = (dual.sin() * dual.exp()).sum()
        (g,) = t.autograd.grad(y, x, create_graph=True)
        gp, gt = ad.unpack_dual(g)
    return gp, gt


@program
def backward_through_a_tangent(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    x, v = n(3).requires_grad_(), n(3).requires_grad_()
    with ad.dual_level():
        y = ad.make_dual(x, v).exp()
        p, jvp = ad.unpack_dual(y)
        return jvp, t.autograd.grad(jvp.sum(), [x, v], retain_graph=True), t.autograd.grad(p.sum(), x)


@program
def dual_through_views_and_writes(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    x, v, w = n(2, 3), n(2, 3), n(3)
    with ad.dual_level():
        d = ad.make_dual(x, v)
        y = d.t()[1:].reshape(-1) * 2
        z = t.zeros(2, 3, dtype=t.float64)
        z[0] = d[1] * w
        z.mul_(2)
        c = d.clone()
        c[0].mul_(w)
        s = t.cat([d, d], 1).softmax(-1)
        k = d @ d.T
        return [ad.unpack_dual(q).tangent for q in (y, z, c, s, k, d.max(0).values, d.sort(-1).values, t.where(d > 0, d, 0.0))]


@program
def nothing_outside_of_the_level(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    with ad.dual_level():
        d = ad.make_dual(n(3), n(3))
        y = d * 2
    with ad.dual_level():
        return ad.unpack_dual(y).tangent, ad.unpack_dual(d).tangent


@program
def level_by_hand(t: Any, n: Any) -> Any:
    ad = t.autograd.forward_ad
    level = ad.enter_dual_level()
    out = ad.unpack_dual(ad.make_dual(n(3), n(3)).sin()).tangent
    ad.exit_dual_level()
    with ad.dual_level() as k:
        pass
    return level, out, k


@program
def jvp_of_many_functions(t: Any, n: Any) -> Any:
    F = t.nn.functional
    made = []
    x, v, w = n(2, 4), n(2, 4), n(4, 3)
    for fn in (
        lambda x: x.sum(1),
        lambda x: x.mean(),
        lambda x: x.std(1),
        lambda x: x @ w,
        lambda x: F.layer_norm(x, (4,)),
        lambda x: F.gelu(x),
        lambda x: F.softmax(x, 1),
        lambda x: F.log_softmax(x, 0),
        lambda x: x.cumsum(1),
        lambda x: x.prod(1),
        lambda x: F.conv1d(x[None], w.T.reshape(2, 2, 3)),
        lambda x: F.max_pool1d(x, 2),
        lambda x: F.avg_pool1d(x[None], 2),
        lambda x: x.reshape(4, 2).T.exp(),
        lambda x: t.linalg.inv(x @ x.T),
        lambda x: t.linalg.det(x @ x.T),
        lambda x: x.norm(),
        lambda x: t.linalg.cholesky(x @ x.T),
        lambda x: F.cross_entropy(x, t.tensor([1, 2])),
        lambda x: F.mse_loss(x, v),
        lambda x: x.logsumexp(1),
        lambda x: t.where(x > 0, x, x * 2),
        lambda x: x.gather(1, t.tensor([[0], [1]])),
        lambda x: x[:, [0, 2]],
        lambda x: x.clamp(-0.5, 0.5),
        lambda x: t.einsum("ij,ik->jk", x, x),
        lambda x: F.silu(x),
        lambda x: x.flip(1).roll(1, 0),
        lambda x: F.pad(x, (1, 1)),
        lambda x: x.pow(3) / (1 + x.abs()),
        lambda x: t.atan2(x, v),
        lambda x: t.linalg.solve(x @ x.T, x),
        lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]),
        lambda x: x.tril(),
        lambda x: t.fft.rfft(x).abs(),
        lambda x: t.special.erf(x),
        lambda x: x.median(1).values,
        lambda x: x.kthvalue(2, 1).values,
        lambda x: F.embedding(t.tensor([0, 1, 0]), x),
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: x.round(),
        lambda x: (x > 0).double() * x,
        lambda x: F.interpolate(x[None], scale_factor=2, mode="linear"),
        lambda x: x.diff(),
    ):
        made.append(caught(lambda fn=fn: t.func.jvp(fn, (x,), (v,))))
    return made


# -- what PyTorch's tutorials do -------------------------------------------------------------------------------------------


def predict(t: Any, w: Any, b: Any, x: Any) -> Any:
    return t.nn.functional.linear(x, w, b).tanh()


@program
def jacobian_tutorial(t: Any, n: Any) -> Any:
    from functools import partial

    f = t.func
    D = 4
    w, b, x = n(D, D), n(D), n(D)
    p = partial(predict, t)
    fb, fx = (lambda b: p(w, b, x)), (lambda x: p(w, b, x))
    rows = [t.autograd.grad(p(w, b, x2), x2, v)[0] for v in t.eye(D, dtype=t.float64) for x2 in [x.clone().requires_grad_()]]
    _, vjp_fn = f.vjp(fx, x)
    (ft,) = f.vmap(vjp_fn)(t.eye(D, dtype=t.float64))
    j = f.jacrev(p, argnums=2)(w, b, x)
    h = f.hessian(p, argnums=2)(w, b, x)
    both = f.jacrev(p, argnums=(0, 1))(w, b, x)
    batched = f.vmap(f.jacrev(p, argnums=2), in_dims=(None, None, 0))(w, b, n(5, D))
    hb = f.vmap(f.hessian(p, argnums=2), in_dims=(None, None, 0))(w, b, n(5, D))
    hvp = f.jvp(f.grad(lambda x: x.sin().sum()), (x,), (n(D),))[1]

    def hvp_revrev(g: Any, primals: Any, tangents: Any) -> Any:
        _, vjp_fn = f.vjp(f.grad(g), *primals)
        return vjp_fn(*tangents)

    return (
        t.stack(rows),
        ft,
        j,
        h,
        both,
        batched,
        hb,
        hvp,
        hvp_revrev(lambda x: x.sin().sum(), (x,), (n(D),)),
        f.jacfwd(fb)(b),
        f.jacfwd(p, randomness="same", argnums=1)(w, b, x),
        f.vmap(f.jacfwd(fx))(n(3, D)),
    )


@program
def per_sample_gradients_tutorial(t: Any, n: Any) -> Any:
    f, F = t.func, t.nn.functional
    m = t.nn.Sequential(t.nn.Conv2d(1, 2, 3, 1), t.nn.ReLU(), t.nn.MaxPool2d(2), t.nn.Flatten(), t.nn.Linear(8, 3)).double()
    with t.no_grad():
        for p in m.parameters():
            p.copy_(n(*p.shape) * 0.3)
    data, targets = n(4, 1, 6, 6), t.tensor([0, 1, 2, 1])

    def compute_loss(params: Any, buffers: Any, sample: Any, target: Any) -> Any:
        predictions = f.functional_call(m, (params, buffers), (sample.unsqueeze(0),))
        return F.nll_loss(F.log_softmax(predictions, 1), target.unsqueeze(0))

    params = {k: v.detach() for k, v in m.named_parameters()}
    buffers = {k: v.detach() for k, v in m.named_buffers()}
    each = f.vmap(f.grad(compute_loss), in_dims=(None, None, 0, 0))
    one_by_one = [
        t.autograd.grad(F.nll_loss(F.log_softmax(m(data[i : i + 1]), 1), targets[i : i + 1]), list(m.parameters()))
        for i in range(4)
    ]
    return each(params, buffers, data, targets), one_by_one[1]


@program
def ensembling_tutorial(t: Any, n: Any) -> Any:
    import copy

    f = t.func
    models = [t.nn.Sequential(t.nn.Linear(6, 4), t.nn.ReLU(), t.nn.Linear(4, 3)).double() for _ in range(3)]
    for m in models:
        with t.no_grad():
            for p in m.parameters():
                p.copy_(n(*p.shape))
    params, buffers = f.stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta") if t is torch else copy.deepcopy(models[0])

    def fmodel(params: Any, buffers: Any, x: Any) -> Any:
        return f.functional_call(base, (params, buffers), (x,))

    minibatches = n(3, 5, 6)
    return (
        f.vmap(fmodel)(params, buffers, minibatches),
        f.vmap(fmodel, in_dims=(0, 0, None))(params, buffers, minibatches[0]),
        f.vmap(fmodel, in_dims=(0, 0, None), randomness="different")(params, buffers, minibatches[1]),
    )


@program
def maml_in_small(t: Any, n: Any) -> Any:
    f = t.func
    w = {"a": n(1, 4), "b": n(4), "c": n(4, 1)}
    net = lambda p, x: (x @ p["a"] + p["b"]).tanh() @ p["c"]  # noqa: E731
    loss = lambda p, x, y: ((net(p, x) - y) ** 2).mean()  # noqa: E731

    def task(p: Any, x1: Any, y1: Any, x2: Any, y2: Any) -> Any:
        g = f.grad(loss)(p, x1, y1)
        return loss({k: v - 0.1 * g[k] for k, v in p.items()}, x2, y2)

    def total(p: Any, *data: Any) -> Any:
        return f.vmap(task, in_dims=(None, 0, 0, 0, 0))(p, *data).mean()

    return f.grad_and_value(total)(w, n(3, 5, 1), n(3, 5, 1), n(3, 5, 1), n(3, 5, 1))


@program
def neural_tangent_kernel(t: Any, n: Any) -> Any:
    f = t.func
    m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2)).double()
    params = {k: n(*p.shape) for k, p in m.named_parameters()}
    fnet = lambda p, x: f.functional_call(m, p, (x.unsqueeze(0),)).squeeze(0)  # noqa: E731
    x1, x2 = n(3, 3), n(2, 3)

    def kernel(params: Any) -> Any:
        a = list(f.vmap(f.jacrev(fnet), (None, 0))(params, x1).values())
        b = list(f.vmap(f.jacrev(fnet), (None, 0))(params, x2).values())
        return sum(t.einsum("Naf,Mbf->NMab", j1.flatten(2), j2.flatten(2)) for j1, j2 in zip(a, b, strict=True))

    def by_vjp(x1: Any, x2: Any) -> Any:
        def vjps(x1: Any, x2: Any) -> Any:
            def func_x1(p: Any) -> Any:
                return fnet(p, x1)

            out, vjp_fn = f.vjp(func_x1, params)

            def one(vec: Any) -> Any:
                return f.jvp(lambda p: fnet(p, x2), (params,), vjp_fn(vec))[1]

            return f.vmap(one)(t.eye(out.numel(), dtype=out.dtype))

        return f.vmap(f.vmap(vjps, (None, 0)), (0, None))(x1, x2)

    return kernel(params), by_vjp(x1, x2)


@program
def whirlwind_tour(t: Any, n: Any) -> Any:
    f = t.func
    x = n()
    cos = f.grad(lambda x: t.sin(x))(x)
    neg = f.grad(f.grad(lambda x: t.sin(x)))(x)
    batch, feature = 3, 5
    weights = n(feature)

    def model(v: Any) -> Any:
        return v.dot(weights).relu()

    examples = n(batch, feature)
    _, pull = f.vjp(t.sin, n(4))
    return (
        cos,
        neg,
        f.vmap(model)(examples),
        pull(n(4)),
        f.jvp(lambda x, y: x * y, (n(5), n(5)), (n(5), n(5))),
        f.jacrev(t.sin)(n(5)),
        f.hessian(lambda x: x.sin().sum())(n(5)),
        f.jacfwd(t.sin)(n(3)),
        f.vmap(f.jacfwd(t.sin))(n(2, 3)),
    )


@program
def ux_limitations(t: Any, n: Any) -> Any:
    f = t.func
    w = n(3).requires_grad_()

    def f1(x: Any) -> Any:
        return t.autograd.grad(x.sin(), x)[0] if x.requires_grad else x * 2

    def f2(x: Any) -> Any:
        with t.no_grad():
            c = x**2
        return x - c

    return (
        f.grad(f2)(t.tensor(1.0)),
        caught(lambda: f.grad(lambda x: 3)(n())),
        f.grad(lambda x: (x * w).sum())(n(3)),
        caught(lambda: f.grad(f.grad(f2))(n())),
        t.no_grad()(lambda: f.grad(lambda x: (x * x).sum())(n(3)))(),
    )


# -- vmap --------------------------------------------------------------------------------------------------------------------


@program
def vmap_dims(t: Any, n: Any) -> Any:
    v = t.vmap
    return (
        v(t.dot, in_dims=1)(n(3, 4), n(3, 4)),
        v(lambda x: x * 2, in_dims=-1, out_dims=-1)(n(2, 3, 4)),
        v(lambda x, y: (x, y), in_dims=(0, 1), out_dims=(1, 0))(n(4, 2), n(3, 4)),
        v(lambda x, k: x * k, in_dims=(0, None))(n(3), 2.5),
        v(lambda x, *, k: x * k)(n(3), k=n(3)),
        v(lambda d: d["x"] + d["y"][0], in_dims=({"x": 0, "y": [1]},))({"x": n(3), "y": [n(2, 3)]}),
        caught(lambda: v(lambda x: x, in_dims=(0, 0))(n(3))),
        caught(lambda: v(lambda x: x, out_dims=3)(n(3))),
        caught(lambda: v(lambda x: x, in_dims="a")(n(3))),
        caught(lambda: v(lambda x: x, in_dims=-2)(n(3))),
        caught(lambda: v(lambda x: (x, x), out_dims=(0,))(n(3))),
        caught(lambda: v(lambda x: x)(n())),
        caught(lambda: v(lambda x: x, randomness="no")(n(2))),
        caught(lambda: v(lambda x: x, chunk_size=0)(n(2))),
        v(lambda x: None if x is None else x + 1)(n(3)),
        caught(lambda: v(lambda x: [x, 3])(n(3))),
        v(lambda x: {"a": x, "b": (x, x)})(n(3)),
        v(lambda x: x, out_dims=(1,))(n(2, 3)),
        caught(lambda: v(lambda x: x, out_dims=None)(n(2))),
        v(lambda x, y: y, in_dims=(0, None), out_dims=None)(n(2), n(3)),
        v(v(lambda x, y: x + y), in_dims=(1, 1))(n(2, 3), n(2, 3)),
    )


@program
def vmap_refuses_values(t: Any, n: Any) -> Any:
    v = t.vmap

    def branch(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    def in_loop(x: Any) -> Any:
        for i in range(int(x[0])):
            x = x + i
        return x

    return (
        caught(lambda: v(lambda x: x * x.sum().item())(n(3, 2))),
        caught(lambda: v(branch)(n(3, 2))),
        caught(lambda: v(in_loop)(n(3, 2))),
        caught(lambda: v(lambda x: x + float(x[0]))(n(3, 2))),
        caught(lambda: v(lambda x: x[x > 0])(n(3, 2))),
        caught(lambda: v(lambda x: x.tolist())(n(3, 2))),
        caught(lambda: v(lambda x: x.numpy())(n(3, 2))),
    )


@program
def vmap_randomness(t: Any, n: Any) -> Any:
    v, F = t.vmap, t.nn.functional
    x = t.ones(4, 50)
    made = []
    for fn in (
        lambda x: x + t.rand(50),
        lambda x: x + t.randn(50),
        lambda x: F.dropout(x),
        lambda x: x + t.rand_like(x),
        lambda x: t.randint(0, 9, (50,)) + x,
        lambda x: t.randperm(50) + x,
        lambda x: x + t.randn_like(x),
        lambda x: x.clone().uniform_(),
        lambda x: t.zeros(50).normal_() + x,
        lambda x: F.alpha_dropout(x, training=True),
        lambda x: F.gumbel_softmax(x),
        lambda x: x + t.empty(50).exponential_(),
    ):
        row = []
        for how in ("error", "same", "different"):
            out = caught(lambda fn=fn, how=how: next(bool((y == y[0]).all()) for y in [v(fn, randomness=how)(x)]))
            row.append(out)
        made.append(row)
    return made


@program
def vmap_in_place(t: Any, n: Any) -> Any:
    v = t.vmap

    def fill(x: Any) -> Any:
        y = t.zeros_like(x)
        y[0] = x[1]
        y[1:].copy_(x[1:])
        y += x
        y.mul_(2).add_(x.sum())
        y.clamp_(min=0)
        return y

    def onto_shared(x: Any) -> Any:
        y = t.zeros(3, dtype=t.float64)
        y.add_(x)
        return y

    def masked(x: Any) -> Any:
        y = x.clone()
        y.masked_fill_(x > 0, 7)
        return y

    def arg(x: Any) -> Any:
        x.mul_(2)
        return x.sum()

    z = n(4, 3)
    return (
        v(fill)(n(4, 3)),
        caught(lambda: v(onto_shared)(n(4, 3))),
        caught(lambda: v(masked)(n(4, 3))),
        v(arg)(z),
        z,
        v(fill, in_dims=1)(n(3, 4)),
        v(lambda x: x.index_fill_(0, t.tensor([1]), 5.0))(n(4, 3)),
        v(lambda x, y: x.copy_(y), in_dims=(0, None))(n(4, 3), n(3)),
    )


@program
def vmap_indexing(t: Any, n: Any) -> Any:
    v = t.vmap
    x, i = n(4, 5), t.tensor([0, 2, 4, 1])
    m = n(4, 3, 5)
    return (
        v(lambda x, i: x[i])(x, i),
        v(lambda x, i: x[i], in_dims=(None, 0))(x[0], i),
        v(lambda x: x[t.tensor([0, 0, 1])])(x),
        v(lambda m, i: m[:, i])(m, i),
        v(lambda m, i: m[i % 3, [0, 1]])(m, i),
        v(lambda m: m[1:, ::2])(m),
        v(lambda m: m[..., -1])(m),
        v(lambda m: m[None, 0])(m),
        v(lambda x, i: x.index_select(0, i.reshape(1)))(x, i),
        v(lambda x, i: x.gather(0, i.reshape(1)))(x, i),
        v(lambda x, i: t.take(x, i))(x, i),
        v(lambda x, i: x.scatter(0, i.reshape(1), 9.0))(x, i),
        v(lambda x, i: t.nn.functional.one_hot(i, 5) * x)(x, i),
        v(lambda i: t.nn.functional.embedding(i, x))(i),
        v(lambda w, i: t.nn.functional.embedding(i, w), in_dims=(0, None))(m, t.tensor([0, 2])),
        v(lambda x, i: x.index_put((i.reshape(1),), t.tensor([3.0], dtype=t.float64)))(x, i),
        v(lambda x, i: x.index_add(0, i.reshape(1), x[:1]))(x, i),
        v(lambda x, i: t.where(t.arange(5) == i, x, 0.0))(x, i),
        caught(lambda: v(lambda x, i: x.__setitem__(i, 3.0) or x)(x.clone(), i)),
        v(lambda x: x.topk(2).indices)(x),
        v(lambda x: x.argsort())(x),
        v(lambda x: x.searchsorted(x[:2].sort().values) if False else x)(x),
    )


@program
def vmap_of_many_functions(t: Any, n: Any) -> Any:
    F, v = t.nn.functional, t.vmap
    x = n(3, 2, 4)
    made = []
    for fn in (
        lambda x: x.sum(),
        lambda x: x.mean(1),
        lambda x: x.std(),
        lambda x: x.max(1),
        lambda x: x.argmax(),
        lambda x: x.softmax(0),
        lambda x: x @ x.T,
        lambda x: x.T.contiguous().view(-1),
        lambda x: x.reshape(-1),
        lambda x: x.flatten(),
        lambda x: x.unbind(0),
        lambda x: x.split(1),
        lambda x: t.stack([x, x], 1),
        lambda x: t.cat([x, x], 1),
        lambda x: x.expand(3, 2, 4),
        lambda x: x.repeat(2, 1),
        lambda x: F.conv1d(x, t.ones(1, 2, 2, dtype=t.float64)),
        lambda x: F.layer_norm(x, (4,)),
        lambda x: F.group_norm(x[None], 2),
        lambda x: F.batch_norm(x[None], None, None, training=True),
        lambda x: F.max_pool1d(x, 2),
        lambda x: F.pad(x, (1, 2)),
        lambda x: t.linalg.inv(x @ x.T + t.eye(2)),
        lambda x: t.linalg.svd(x)[1],
        lambda x: t.linalg.norm(x),
        lambda x: t.linalg.det(x[:, :2]),
        lambda x: t.linalg.cholesky(x @ x.T),
        lambda x: t.linalg.solve(x @ x.T, x),
        lambda x: x.sort(-1),
        lambda x: x.median(-1),
        lambda x: x.kthvalue(1, -1),
        lambda x: x.mode(-1),
        lambda x: x.cumsum(-1),
        lambda x: x.cummax(-1),
        lambda x: x.flip(0),
        lambda x: x.roll(1, 1),
        lambda x: x.tril(),
        lambda x: x.diagonal(),
        lambda x: t.diag(x[0]),
        lambda x: x.trace(),
        lambda x: t.outer(x[0], x[1]),
        lambda x: t.einsum("ij,kj->ik", x, x),
        lambda x: F.cosine_similarity(x, x * 2),
        lambda x: t.cdist(x, x),
        lambda x: x.norm(dim=1),
        lambda x: F.scaled_dot_product_attention(x, x, x),
        lambda x: F.cross_entropy(x, t.tensor([1, 2])),
        lambda x: t.fft.fft(x).abs(),
        lambda x: x.unfold(1, 2, 1),
        lambda x: F.interpolate(x[None], scale_factor=2),
        lambda x: F.one_hot(x.argmax(1), 4),
        lambda x: t.meshgrid(x[0], x[1], indexing="ij"),
        lambda x: x.clamp(0, 1),
        lambda x: t.nan_to_num(x),
        lambda x: x.to(t.float32),
        lambda x: x.type(t.int64),
        lambda x: x.new_zeros(3) + x[0, 0],
        lambda x: t.zeros_like(x),
        lambda x: t.tensor([1.0, 2.0]),
        lambda x: x.shape[0] * x,
        lambda x: x.stride()[0] * x,
        lambda x: x.size(-1) * x,
        lambda x: x.numel() * x,
        lambda x: x.ndim * x,
        lambda x: len(x) * x,
        lambda x: x.is_contiguous() * x,
        lambda x: t.logsumexp(x, 1),
        lambda x: F.normalize(x),
        lambda x: t.quantile(x, 0.5, dim=1),
        lambda x: x.var(1),
        lambda x: x.prod(),
        lambda x: x.any(1),
        lambda x: (x > 0).all(),
        lambda x: t.bucketize(x, t.tensor([0.0, 1.0])),
        lambda x: F.unfold(x[None, None], 2),
        lambda x: t.kron(x, x),
        lambda x: t.tensordot(x, x, dims=([1], [1])),
        lambda x: F.gelu(x),
        lambda x: t.lerp(x, x * 2, 0.3),
        lambda x: t.cross(x[:, :3], x[:, 1:]),
        lambda x: t.polar(x.abs(), x).real,
        lambda x: t.isclose(x, x),
        lambda x: t.equal(x, x) * x if False else x,
        lambda x: x.count_nonzero(),
        lambda x: t.histc(x) if False else x,
        lambda x: t.block_diag(x, x),
        lambda x: t.cartesian_prod(x[0], x[1]),
        lambda x: t.combinations(x[0]),
        lambda x: next(iter(x)),
        lambda x: x.permute(1, 0).unflatten(0, (2, 2)),
        lambda x: x.as_strided((2, 2), (1, 2)),
        lambda x: x.squeeze(),
        lambda x: x.movedim(0, 1),
    ):
        made.append(caught(lambda fn=fn: v(fn)(x)))
        made.append(caught(lambda fn=fn: v(fn, in_dims=2)(x.movedim(0, 2))))
    return made


@program
def vmap_of_gradients(t: Any, n: Any) -> Any:
    f = t.func
    w = n(3).requires_grad_()

    def g(x: Any) -> Any:
        return (x.sin() * w).sum()

    out = f.vmap(f.grad(g))(n(4, 3))
    inner = t.autograd.grad(out.sum(), w)
    return (
        out,
        inner,
        f.vmap(f.jacrev(lambda x: x.cumsum(0)))(n(4, 3)),
        f.vmap(f.vmap(f.grad(lambda x: x**3)))(n(2, 3)),
        f.jacrev(f.vmap(lambda x: x.sum() * x))(n(2, 3)),
        f.vmap(lambda v: f.vjp(lambda x: x * x.sum(), n(3))[1](v))(n(4, 3)) if False else 0,
    )


@program
def functions_beside(t: Any, n: Any) -> Any:
    f = t.func
    x = n(3)

    def inplace(x: Any) -> Any:
        y = x.clone()
        y.add_(1)
        y[0].mul_(3)
        return y

    bn = t.nn.Sequential(t.nn.BatchNorm1d(3), t.nn.Linear(3, 2)).double()
    out = f.replace_all_batch_norm_modules_(bn)
    return (
        f.functionalize(inplace)(x),
        f.vmap(f.functionalize(inplace))(n(2, 3)),
        out is bn,
        bn[0].running_mean is None,
        bn[0].track_running_stats,
        f.linearize(lambda x: x.sin(), x)[1](n(3)),
        f.hessian(lambda d: (d["a"] ** 2).sum() * d["b"])({"a": x, "b": n()}),
        f.jacfwd(f.jacrev(lambda x: (x**3).sum()))(x),
        f.jacrev(lambda x: (x.sin(), {"c": x.sum()}))(x),
        f.jacfwd(lambda x, y: (x * y, y), argnums=(0, 1))(x, n(3)),
        caught(lambda: f.grad(lambda x: x.sum(), argnums=3)(x)),
        caught(lambda: f.jvp(lambda x: x, x, x)),
        caught(lambda: f.jvp(lambda x: x, (x,), (n(2),))),
        caught(lambda: f.vjp(lambda x: 3, x)),
        caught(lambda: f.jacrev(lambda x: x)(t.tensor([1]))),
        caught(lambda: f.jvp(lambda x: x, (x,), (x, x))),
        f.jvp(lambda x: (x, x.detach()), (x,), (n(3),)),
        f.jvp(lambda x: x, (x,), (n(3),), has_aux=False),
        f.grad(lambda x, y: (x * y).sum(), argnums=(1, 0))(x, n(3)),
        f.grad(lambda x, y: (x * y).sum(), argnums=-1)(x, n(3)),
    )


@program
def functional_calls(t: Any, n: Any) -> Any:
    f = t.func

    class Tied(t.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.foo = t.nn.Parameter(n(2))
            self._foo = self.foo
            self.register_buffer("k", n(2))

        def forward(self, x: Any, scale: Any = 1.0) -> Any:
            return (x + self.foo + self._foo + self.k) * scale

    m = Tied()
    a = {"foo": n(2)}
    return (
        f.functional_call(m, a, n(2)),
        f.functional_call(m, a, (n(2),), {"scale": 2.0}),
        f.functional_call(m, a, n(2), tie_weights=False),
        f.functional_call(m, {"foo": a["foo"], "_foo": n(2)}, n(2), tie_weights=False),
        caught(lambda: f.functional_call(m, {"foo": a["foo"], "_foo": n(2)}, n(2))),
        f.functional_call(m, (a, {"k": n(2)}), n(2)),
        caught(lambda: f.functional_call(m, a, n(2), strict=True)),
        f.functional_call(m, {"nothing": n(2)}, n(2)) if False else 0,
        caught(lambda: f.functional_call(m, (a, a), n(2))),
        m.foo,
        sorted(m.state_dict()),
    )


@program
def autograd_functional(t: Any, n: Any) -> Any:
    a = t.autograd.functional
    x, y = n(3), n(3)

    def fn(x: Any, y: Any) -> Any:
        return x.exp() * y.sum(), (x * y).sum()

    return (
        a.jacobian(fn, (x, y)),
        a.jacobian(fn, (x, y), vectorize=True, strategy="forward-mode"),
        a.jacobian(lambda x: x**2, x, create_graph=True),
        a.hessian(lambda x, y: (x * y.sin()).sum(), (x, y), vectorize=True),
        a.vhp(lambda x: (x**3).sum(), x, y, strict=True),
        a.hvp(lambda x: (x**3).sum(), x, y),
        a.vjp(fn, (x, y), (x, n())),
        a.jvp(fn, (x, y), (y, x)),
        caught(lambda: a.jacobian(lambda x: t.zeros(2), x, strict=True)),
        a.jacobian(lambda x: t.zeros(2), x),
        caught(lambda: a.jacobian(lambda x: x, x, strategy="forward-mode")),
        caught(lambda: a.jacobian(lambda x: x, x, strategy="none")),
        caught(lambda: a.hessian(lambda x: x, x)),
        caught(lambda: a.jacobian(lambda x: x, x, strict=True, vectorize=True)),
    )


@pytest.mark.parametrize("name", program)
def test_as_pytorch(name: str) -> None:
    assert differences(outcome(program[name], fw), outcome(program[name], torch)) == []


def test_writes_that_read_what_they_overwrite_inside_of_vmap() -> None:
    def run(t: Any) -> Any:
        x = t.linspace(-1.0, 2.0, 12).view(3, 4).requires_grad_()
        t.func.vmap(lambda a: (a * 1).mul_(a).sum())(x).sum().backward()
        rows = t.func.vmap(t.func.grad(lambda a: (a.clone().add_(1).mul_(a)).sum()))
        return x.grad, rows(x.detach()), t.func.vmap(rows)(x.detach().view(3, 2, 2))

    for ours, theirs in zip(run(fw), run(torch), strict=True):
        assert torch.allclose(torch.tensor(ours.tolist()), theirs)
