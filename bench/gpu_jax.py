"""What JAX runs beside the suite `gpu`: the same functions and networks in its own way. None where nobody has written them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Make = Callable[[], Callable[[], object]]


def flat(jax: Any, name: str, rows: int, columns: int, dtype: str) -> Make | None:
    """One of `gpu_sections.FLAT`."""
    f = _functions(jax).get(name)
    if f is None:
        return None

    def make() -> Callable[[], object]:
        keys = jax.random.split(jax.random.key(0), 3)
        x, y = (jax.random.normal(key, (rows, columns), dtype) for key in keys[:2])
        t = jax.random.randint(keys[2], (rows,), 0, min(rows, columns))
        return _waiting(partial(jax.jit(f), x, y, t))

    return make


def _waiting(call: Callable[[], Any], times: int = 10) -> Callable[[], object]:
    """`call`, and a wait for its result. (It is timed by the host's clock: some microseconds of it are the host's.)"""
    return lambda: call().block_until_ready()


def _functions(jax: Any) -> dict[str, Callable[[Any, Any, Any], Any]]:
    def gelu(x: Any, y: Any, t: Any) -> Any:
        return jax.nn.gelu(x, approximate=False) * y + x

    def norm(x: Any, y: Any, t: Any) -> Any:
        return _norm(jax, x)

    def entropy(x: Any, y: Any, t: Any) -> Any:
        logs = jax.nn.log_softmax(x.astype("float32"))
        return -jax.numpy.take_along_axis(logs, t[:, None], 1).mean()

    return {
        "gelu(x) * y + x": gelu, "gelu(x) * y + x, bf16": gelu, "sum of rows": lambda x, y, t: x.sum(-1),
        "sum of columns": lambda x, y, t: x.sum(0), "sum of all": lambda x, y, t: x.sum(),
        "softmax of rows": lambda x, y, t: jax.nn.softmax(x, -1), "layer_norm, bf16": norm, "cross_entropy, bf16": entropy,
        "x[t]": lambda x, y, t: x[t], "index_add": lambda x, y, t: y.at[t].add(x), "cumsum": lambda x, y, t: x.cumsum(-1),
    }  # fmt: skip


def _norm(jax: Any, x: Any) -> Any:
    wide = x.astype("float32")
    centred = wide - wide.mean(-1, keepdims=True)
    return (centred / jax.numpy.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)).astype(x.dtype)


def product(jax: Any, n: int, dtype: str) -> Make:
    """relu(a @ b + bias)."""

    def make() -> Callable[[], object]:
        real, precision = ("float32", "tensorfloat32") if dtype == "tf32" else (dtype, "highest" if dtype == "float32" else None)
        a, b = (jax.random.normal(key, (n, n), real) for key in jax.random.split(jax.random.key(0)))
        f = jax.jit(lambda a, b: jax.nn.relu(jax.numpy.matmul(a, b, precision=precision) + 1))
        return _waiting(partial(f, a, b))

    return make


def model(jax: Any, case: Any, training: bool) -> Make | None:
    """Inference or a training step (AdamW) of a GPT or MLP."""
    if case.kind not in ("gpt", "mlp"):
        return None
    kind = "bfloat16" if case.half else "float32"
    parameters, forward = (_gpt if case.kind == "gpt" else _mlp)(jax, case.sizes, kind)

    def make() -> Callable[[], object]:
        x, y = _batch(jax, case, kind)
        if not training:
            return _waiting(partial(jax.jit(forward), parameters, x))
        return _step(jax, parameters, partial(_loss, jax, case.kind, forward), x, y)

    return make


def _batch(jax: Any, case: Any, kind: str) -> tuple[Any, Any]:
    keys = jax.random.split(jax.random.key(1))
    if case.kind == "gpt":
        x, y = (jax.random.randint(key, case.sizes[:2], 0, case.sizes[2]) for key in keys)
    else:
        x, y = (jax.random.normal(key, case.sizes[:2], kind) for key in keys)
    return x, y


def _loss(jax: Any, kind: str, forward: Callable[[Any, Any], Any], parameters: Any, x: Any, y: Any) -> Any:
    found = forward(parameters, x).astype("float32")
    if kind == "mlp":
        return ((found - y.astype("float32")) ** 2).mean()
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(found), y[..., None], -1).mean()


def _step(jax: Any, parameters: Any, loss: Callable[..., Any], x: Any, y: Any) -> Callable[[], object]:
    """A step of AdamW at each call."""
    tree, np = jax.tree.map, jax.numpy

    def step(p: Any, m: Any, v: Any, count: Any) -> Any:
        found, grads = jax.value_and_grad(loss)(p, x, y)
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        scale = 1e-4 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        p = tree(lambda p, m, v: (p * (1 - 1e-6) - scale * m / (np.sqrt(v) + 1e-8)).astype(p.dtype), p, m, v)
        return found, p, m, v

    run, state = jax.jit(step, donate_argnums=(0, 1, 2)), [tree(np.copy, parameters), *(tree(np.zeros_like, parameters),) * 2]
    state[2], count = tree(np.copy, state[1]), [0.0]

    def call() -> object:
        count[0] += 1.0
        found, *state[:] = run(*state, count[0])
        return found.block_until_ready()

    return call


def _mlp(jax: Any, sizes: tuple[int, ...], kind: str) -> tuple[Any, Callable[[Any, Any], Any]]:
    _, width, hidden = sizes
    shapes = ((width, hidden), (hidden, hidden), (hidden, width))
    parameters = [(_drawn(jax, s, kind), jax.numpy.zeros(s[1], kind)) for s in shapes]

    def forward(p: Any, x: Any) -> Any:
        for w, b in p[:-1]:
            x = jax.nn.gelu(x @ w + b, approximate=False)
        return x @ p[-1][0] + p[-1][1]

    return parameters, forward


def _drawn(jax: Any, shape: tuple[int, ...], kind: str) -> Any:
    return 0.02 * jax.random.normal(jax.random.key(sum(shape)), shape, kind)


def _gpt(jax: Any, sizes: tuple[int, ...], kind: str) -> tuple[Any, Callable[[Any, Any], Any]]:
    _, length, vocabulary, width, heads, layers = sizes
    draw = partial(_drawn, jax, kind=kind)
    blocks = [{"qkv": draw((width, 3 * width)), "out": draw((width, width)), "up": draw((width, 4 * width)),
               "down": draw((4 * width, width))} for _ in range(layers)]  # fmt: skip
    parameters = {"token": draw((vocabulary, width)), "position": draw((length, width)), "blocks": blocks,
                  "head": draw((width, vocabulary))}  # fmt: skip

    def attention(p: Any, x: Any) -> Any:
        b, t, _ = x.shape
        q, k, v = (part.reshape(b, t, heads, -1) for part in jax.numpy.split(x @ p["qkv"], 3, -1))
        return jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, t, width) @ p["out"]

    def forward(p: Any, tokens: Any) -> Any:
        x = p["token"][tokens] + p["position"][: tokens.shape[1]]
        for block in p["blocks"]:
            x = x + attention(block, _norm(jax, x))
            x = x + jax.nn.gelu(_norm(jax, x) @ block["up"], approximate=False) @ block["down"]
        return _norm(jax, x) @ p["head"]

    return parameters, forward
