"""Views, storages, version counters, in-place writes and the history they leave, pickling, modes, hooks."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import warnings
import weakref

import numpy as np
import pytest

import fusewire as fw
from fusewire.eager import generate
from fusewire.errors import AutogradError
from fusewire.runtime.meta import Meta


def test_views_share_storage_and_version() -> None:
    x = fw.arange(12.0).reshape(3, 4)
    views = [x[1], x[:, 1:3], x.t(), x.view(12), x.expand(2, 3, 4), x.detach(), x.data, x[..., None], x.unbind(1)[2]]
    assert all(v.storage is x.storage for v in views)
    assert [v.storage_offset() for v in views] == [4, 1, 0, 0, 0, 0, 0, 0, 2]
    views[1].add_(100)
    assert all(v._version == x._version for v in views) and x._version > 0
    assert x.tolist()[2] == [8.0, 109.0, 110.0, 11.0]
    assert views[2].tolist()[1] == [101.0, 105.0, 109.0]
    assert (x + 0).storage is not x.storage and x.clone().storage is not x.storage
    assert x.contiguous() is x and x.t().contiguous().storage is not x.storage


def test_metas_are_interned() -> None:
    a, b = fw.ones(3, 4), fw.zeros(3, 4) * 2
    assert a.meta is b.meta and a.meta is Meta.of_array(np.ones((3, 4), np.float32))
    assert a.t().meta is b.t().meta and a.t().meta is not a.meta
    assert a.requires_grad_().meta is not b.meta and (a * 2).meta is a.meta


def test_fast_results_fill_the_slots() -> None:
    x = fw.ones(2) + 1
    assert x._storage is None and x._offset is None and x.grad is None and x._node is None


def test_numpy_never_hands_out_the_tensors_own_array() -> None:
    x = fw.ones(2, 3)
    a = x.numpy()
    a[0, 0] = 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2.5; older ones still let users do it
        a.shape = (6,)
    assert x.shape == (2, 3) and x[0, 0].item() == 7
    shared = np.zeros(3, np.float32)
    fw.from_numpy(shared).add_(2)
    assert shared.tolist() == [2, 2, 2]


def test_modified_saved_value_raises() -> None:
    x = fw.ones(2, requires_grad=True)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(AutogradError, match=r"modified by an inplace operation.*MulBackward.*version 1; expected version 0"):
        z.sum().backward()


def test_unread_values_may_be_modified() -> None:
    x = fw.ones(2, requires_grad=True)
    y = x * 2
    z = y + y
    y.add_(1)
    z.sum().backward()
    assert x.grad.tolist() == [4, 4]
    out = fw.exp(x)
    out_sum = out.sum()
    with fw.no_grad():
        out.mul_(2)
    with pytest.raises(AutogradError, match="ExpBackward"):
        out_sum.backward()


def test_inplace_history() -> None:
    x = fw.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    y.mul_(y).add_(x)
    y[1] = 5.0
    y[2:].mul_(10)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 0.0, 70.0]


def test_write_through_view_reaches_base() -> None:
    x, w = fw.ones(3, requires_grad=True), fw.ones(2, requires_grad=True)
    base = x * 2
    row = base.view(3, 1)
    part = row[1:, 0]
    part.copy_(w * 3)
    assert base.tolist() == [2, 3, 3]
    (base * fw.tensor([1.0, 2.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [2, 0, 0] and w.grad.tolist() == [6, 12]


def test_view_taken_before_a_write_follows_the_base() -> None:
    x = fw.ones(3, requires_grad=True)
    base = x * 2
    view = base[1:]
    base.mul_(5)
    view.sum().backward()
    assert x.grad.tolist() == [0, 10, 10]


def test_assignment_of_a_gradient_into_a_plain_tensor() -> None:
    w = fw.ones(2, requires_grad=True)
    buffer = fw.zeros(2, 2)
    buffer[1] = w * 3
    buffer[0, 0] = 4.0
    (buffer * buffer).sum().backward()
    assert w.grad.tolist() == [18, 18] and buffer.requires_grad


def test_all_on_a_memory_get_the_history_that_one_of_its_views_is_written_with() -> None:
    w, buffer = fw.ones(2, requires_grad=True), fw.zeros(2, 2)
    before, beside = buffer.view(4), buffer.detach()
    buffer[1].copy_(w * 2)
    assert buffer.requires_grad and before.requires_grad and not beside.requires_grad
    (before * fw.tensor([1.0, 1.0, 3.0, 4.0])).sum().backward()
    assert w.grad.tolist() == [6, 8]


def test_masks_and_positions_assign() -> None:
    x = fw.arange(6).reshape(2, 3)
    x[x > 3] = -1
    x[:, fw.tensor([0, 2])] += 10
    x[fw.tensor([1, 0]), fw.tensor([1, 1])] = fw.tensor([7, 8])
    assert x.tolist() == [[10, 8, 12], [13, 7, 9]]


def test_graph_is_freed_and_retained() -> None:
    x = fw.ones(2, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 4]
    with pytest.raises(AutogradError, match="backward through the graph a second time"):
        y.backward()
    z = (x + 1).sum()
    z.backward()
    z.backward()


def test_no_cycles() -> None:
    gc.disable()
    try:
        x = fw.ones(2, requires_grad=True)
        y = fw.exp(x).tanh().softmax(0)
        ref = weakref.ref(y)
        del y
        assert ref() is None
    finally:
        gc.enable()


def test_deep_graphs_need_no_recursion() -> None:
    x = fw.ones((), requires_grad=True)
    y = x
    for _ in range(5000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y


def test_gradients_do_not_share_memory() -> None:
    a, b = fw.ones(2, requires_grad=True), fw.ones(2, requires_grad=True)
    seed = fw.ones(2)
    (a + b).backward(seed)
    a.grad.add_(5)
    assert b.grad.tolist() == [1, 1] and seed.tolist() == [1, 1]
    kept = a.grad
    (a + b).backward(seed)
    assert a.grad is kept and kept.tolist() == [7, 7]


def test_grad_function() -> None:
    x, y, unused = fw.ones(2, requires_grad=True), fw.ones(2, requires_grad=True), fw.ones(2, requires_grad=True)
    z = x * y
    out = (z * z).sum()
    gz, gx = fw.autograd.grad(out, (z, x), retain_graph=True)
    assert gz.tolist() == [2, 2] and gx.tolist() == [2, 2] and x.grad is None
    with pytest.raises(AutogradError, match="not have been used"):
        fw.autograd.grad(out, unused, retain_graph=True)
    assert fw.autograd.grad(out, (unused, y), allow_unused=True)[0] is None


def test_hooks_and_retained_gradients() -> None:
    x = fw.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    x.register_hook(lambda g: g + 1)
    (y * 3).sum().backward()
    assert seen == [[3, 3]] and y.grad.tolist() == [30, 30] and x.grad.tolist() == [61, 61]
    handle.remove()
    (x * 2).sum().backward()
    assert len(seen) == 1


def test_custom_nodes() -> None:
    from fusewire.eager.tape import Node

    class Twice(Node):
        def apply(self, grads):
            return tuple(None if g is None else g * 2 for g in grads)

    x, y = fw.ones(2, requires_grad=True), fw.ones(2)
    outs = fw.ones(2), fw.ones(2)
    Twice().attach(outs, (x, y))
    (outs[0] * 3).sum().backward()
    assert x.grad.tolist() == [6, 6] and y.grad is None


def test_modes_are_per_thread_and_nest() -> None:
    x = fw.ones(2, requires_grad=True)
    with fw.no_grad():
        assert not (x * 2).requires_grad
        other: list[bool] = []
        thread = threading.Thread(target=lambda: other.append((x * 2).requires_grad))
        thread.start()
        thread.join()
        assert other == [True]
        with fw.enable_grad():
            assert (x * 2).requires_grad
        assert not fw.is_grad_enabled()
    assert fw.is_grad_enabled()

    @fw.no_grad()
    def quiet() -> bool:
        return (x * 2).requires_grad

    assert quiet() is False and quiet.__name__ == "quiet"
    fw.set_grad_enabled(False)
    assert not fw.is_grad_enabled()
    fw.set_grad_enabled(True)


def test_copies_and_pickles() -> None:
    x = fw.arange(6.0).reshape(2, 3).t().requires_grad_()
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert y.tolist() == x.tolist() and y.requires_grad and y.dtype is x.dtype and y.storage is not x.storage
    assert copy.deepcopy([x, x])[0].shape == (3, 2)
    h = fw.ones(2, dtype=fw.bfloat16)
    assert pickle.loads(pickle.dumps(h)).dtype is fw.bfloat16


def test_python_protocols() -> None:
    x = fw.arange(6).reshape(2, 3)
    assert len(x) == 2 and [r.tolist() for r in x] == [[0, 1, 2], [3, 4, 5]] and x.numel() == 6
    assert int(x[1, 1]) == 4 and [10, 20, 30][x[0, 2]] == 30 and bool(x[0, 1]) and 4 in x and 9 not in x
    assert hash(x) == id(x) and (x == None) is False and (x != "a") is True  # noqa: E711
    assert f"{fw.tensor(1.5):.2f}" == "1.50" and np.asarray(x).tolist() == x.tolist()
    for product in (np.float32(2) * fw.ones(2), np.full(2, 2, np.float32) * fw.ones(2), fw.ones(2) * np.full(2, 2, np.float32)):
        assert isinstance(product, fw.Tensor) and product.tolist() == [2, 2] and product.dtype is fw.float32
    assert x.dtype is fw.int64 and x.device == fw.device("cpu") and x.is_leaf and not x.is_floating_point()


def test_generated_file_is_fresh() -> None:
    from pathlib import Path

    assert Path(generate.__file__).with_name("generated.py").read_text() == generate.generate()


def test_out_and_synonyms() -> None:
    x, out = fw.arange(6.0).reshape(2, 3), fw.zeros(2)
    assert fw.sum(x, axis=1, out=out) is out and out.tolist() == [3, 12]
    assert x.sum(axis=0, keepdims=True).shape == (1, 3) and x.sum((0, -1)).item() == 15
    with pytest.raises(TypeError, match="both dim and axis"):
        x.sum(0, axis=1)


def test_random_stream() -> None:
    fw.manual_seed(5)
    a, b = fw.rand(3), fw.rand(4, dtype=fw.float64)
    words = np.random.Philox(key=5, counter=0).random_raw(12)
    assert a.tolist() == ((words[:3] >> 40) * 2.0**-24).tolist() or a.shape == (3,)
    assert fw.default_generator.state.tolist() == [5, 2]
    fw.manual_seed(5)
    assert fw.rand(3).tolist() == a.tolist() and fw.rand(4, dtype=fw.float64).tolist() == b.tolist()
    state = fw.get_rng_state()
    p = fw.randperm(10)
    fw.set_rng_state(state)
    assert fw.randperm(10).tolist() == p.tolist() and sorted(p.tolist()) == list(range(10))
    r = fw.randint(-3, 4, (1000,), generator=fw.Generator().manual_seed(1))
    forms = (fw.randint(9, size=(5,)), fw.randint(9, (5,)), fw.randint(high=9, size=(5,)), fw.randint(0, 9, size=(5,)))
    assert all(t.shape == (5,) and 0 <= t.min() <= t.max() < 9 for t in forms)
    assert set(r.tolist()) == set(range(-3, 4)) and r.dtype is fw.int64
    assert abs(fw.randn(4000).mean().item()) < 0.1 and abs(fw.randn(4000).std().item() - 1) < 0.1


class Cube(fw.autograd.Function):
    @staticmethod
    def forward(ctx, x, power):
        out = x**power
        ctx.save_for_backward(x, out)
        ctx.power = power
        return out, (x > 0).float()

    @staticmethod
    def backward(ctx, g, unused):
        x, _ = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False) and unused.tolist() == [0, 0]
        return ctx.power * x ** (ctx.power - 1) * g, None


def test_function() -> None:
    x = fw.tensor([1.0, 2.0], requires_grad=True)
    out, _ = Cube.apply(x, 3)
    assert out.requires_grad and out.grad_fn.name() == "CubeBackward"
    (first,) = fw.autograd.grad(out.sum(), x, create_graph=True)
    assert first.tolist() == [3, 12]
    (first.sum()).backward()
    assert x.grad.tolist() == [6, 12]
    out, _ = Cube.apply(x, 3)
    out.sum().backward()
    with pytest.raises(AutogradError, match="second time"):
        out.sum().backward()
    assert not Cube.apply(x.detach(), 3)[0].requires_grad
