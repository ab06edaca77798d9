"""Packed sequences, parametrisations, vectors of parameters, averaged models, scaled gradients and nn.init, beside PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest

import fusewire as fw

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with"
)


def arrays(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: arrays(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [arrays(v) for v in x]
    return x.detach().numpy() if hasattr(x, "detach") else x


def same(a: Any, b: Any) -> None:
    if isinstance(b, dict):
        assert list(a) == list(b)
        a, b = list(a.values()), list(b.values())
    if isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(b, (np.ndarray, float)):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)
    else:
        assert a == b


def filled(lib: Any, m: Any) -> Any:
    """Values that both libraries share."""
    rng = np.random.default_rng(1)
    with lib.no_grad():
        for p in m.parameters():
            p.copy_(lib.from_numpy(np.asarray(rng.standard_normal(tuple(p.shape)), np.float32)))
    return m


def both(program: Any) -> None:
    import torch

    same(arrays(program(fw)), arrays(program(torch)))


@needs_torch
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed_sequences(kind: str) -> None:
    def program(lib: Any) -> Any:
        rnn = importlib.import_module(f"{lib.__name__}.nn.utils.rnn")
        layer = filled(lib, getattr(lib.nn, kind)(3, 4, 2, bidirectional=True))
        parts = [lib.from_numpy(np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)) for n in (2, 5, 3)]
        packed = rnn.pack_sequence(parts, enforce_sorted=False)
        out, last = layer(packed)
        padded, lengths = rnn.pad_packed_sequence(out, batch_first=True, total_length=6)
        (padded.sin().sum() + (last if kind != "LSTM" else last[1]).sum()).backward()
        back = rnn.unpack_sequence(packed)
        whole = rnn.pad_sequence(parts, batch_first=True, padding_value=-1.0)
        left = rnn.pad_sequence(parts, padding_side="left")
        again = rnn.pack_padded_sequence(whole, [2, 5, 3], batch_first=True, enforce_sorted=False)
        found = [list(packed), padded, lengths, last, back, whole, left, list(again), rnn.unpad_sequence(whole, lengths, True)]
        return [*found, [p.grad for p in layer.parameters()]]

    both(program)


@needs_torch
def test_weight_norm() -> None:
    def program(lib: Any) -> Any:
        utils = importlib.import_module(f"{lib.__name__}.nn.utils.parametrizations")
        parametrize = importlib.import_module(f"{lib.__name__}.nn.utils.parametrize")
        m = utils.weight_norm(filled(lib, lib.nn.Linear(3, 4)))
        x = lib.ones(2, 3)
        m(x).sin().sum().backward()
        found = [m(x), {k: v.clone() for k, v in m.state_dict().items()}, [p.grad for p in m.parameters()], repr(m)]
        found.append([n for n, _ in m.named_parameters()])
        with lib.no_grad():
            m.weight = lib.ones(4, 3)
        found += [m(x), parametrize.is_parametrized(m, "weight")]
        parametrize.remove_parametrizations(m, "weight")
        return [*found, type(m).__name__, dict(m.state_dict())]

    both(program)


@needs_torch
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_norms_by_hooks(kind: str) -> None:
    def program(lib: Any) -> Any:
        utils = lib.nn.utils
        m = getattr(utils, kind)(filled(lib, lib.nn.Linear(3, 4)))
        with lib.no_grad():
            for b in m.buffers():
                b.copy_(lib.nn.functional.normalize(lib.arange(1.0, b.numel() + 1), dim=0))
        x = lib.ones(2, 3)
        m(x).sin().sum().backward()
        found = [m(x), dict(m.state_dict()), [p.grad for p in m.parameters()], repr(m), [n for n, _ in m.named_parameters()]]
        found.append([str(m.load_state_dict(m.state_dict())), m.state_dict()._metadata[""]])
        try:
            getattr(utils, kind)(m)
        except RuntimeError as e:
            found.append(str(e))
        getattr(utils, f"remove_{kind}")(m.eval())
        return [*found, m(x), dict(m.state_dict())]

    both(program)


@needs_torch
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_orthogonal_weights(kind: str | None, shape: tuple[int, int]) -> None:
    def program(lib: Any) -> Any:
        utils = importlib.import_module(f"{lib.__name__}.nn.utils.parametrizations")
        m = utils.orthogonal(filled(lib, lib.nn.Linear(*shape)), orthogonal_map=kind)
        side = max(shape)
        turn = lib.from_numpy(np.linalg.qr(np.random.default_rng(1).standard_normal((side, side)))[0].astype(np.float32))
        with lib.no_grad():
            m.parametrizations.weight[0].base.copy_(turn)
            start = m.parametrizations.weight.original.clone()
            m.parametrizations.weight.original.add_(lib.arange(0.0, start.numel()).reshape(start.shape) * 0.02)
        m(lib.ones(2, shape[0])).sin().sum().backward()
        return [start, m.weight, m.parametrizations.weight.original.grad, list(m.state_dict()), repr(m)]

    both(program)


def test_orthogonal_begins_at_an_orthogonal_weight() -> None:
    m = fw.nn.Linear(6, 4)
    fw.nn.init.orthogonal_(m.weight)
    before = m.weight.detach().clone()
    w = fw.nn.utils.parametrizations.orthogonal(m).weight
    np.testing.assert_allclose((w @ w.T).detach().numpy(), np.eye(4), atol=1e-5)
    np.testing.assert_allclose(w.detach().numpy(), before.numpy(), atol=1e-5)
    transferred = fw.nn.utils.parametrize.transfer_parametrizations_and_params(m, fw.nn.Linear(6, 4))
    assert fw.nn.utils.parametrize.type_before_parametrizations(transferred) is fw.nn.Linear
    assert fw.equal(transferred.weight, m.weight)


@needs_torch
def test_pruning() -> None:
    def program(lib: Any) -> Any:
        prune = importlib.import_module(f"{lib.__name__}.nn.utils.prune")
        m = filled(lib, lib.nn.Sequential(lib.nn.Linear(4, 6), lib.nn.Linear(6, 2)))
        prune.l1_unstructured(m[0], "weight", 0.3)
        prune.ln_structured(m[0], "weight", 2, n=2, dim=0)
        prune.custom_from_mask(m[0], "bias", lib.tensor([1, 0, 1, 1, 0, 1]))
        x = lib.ones(2, 4)
        m(x).sin().sum().backward()
        found = [m(x), dict(m.state_dict()), [n for n, _ in m.named_parameters()], m[0].weight_orig.grad, prune.is_pruned(m)]
        prune.remove(m[0], "weight")
        prune.remove(m[0], "bias")
        prune.global_unstructured([(m[0], "weight"), (m[1], "weight")], prune.L1Unstructured, amount=20)
        found += [dict(m.state_dict()), m(x)]
        for bad in (lambda: prune.remove(m[1], "bias"), lambda: prune.l1_unstructured(m[1], "bias", 1.5),
                    lambda: prune.ln_structured(m[1], "bias", 1, 2, 0), lambda: prune.random_unstructured(m[1], "bias", "x")):
            try:
                bad()
            except (ValueError, TypeError) as e:
                found.append(f"{type(e).__name__}: {str(e)[:60]}")
        counts = [prune.random_unstructured(m[1], "bias", 1).bias_mask.sum().item()]
        counts.append(prune.random_structured(filled(lib, lib.nn.Linear(3, 4)), "weight", 2, 0).weight_mask.sum().item())
        return [*found, counts]

    both(program)


@needs_torch
def test_parametrisations_of_the_user() -> None:
    def program(lib: Any) -> Any:
        parametrize = importlib.import_module(f"{lib.__name__}.nn.utils.parametrize")

        class Symmetric(lib.nn.Module):  # type: ignore[name-defined, misc]
            def forward(self, x: Any) -> Any:
                return x.triu() + x.triu(1).transpose(-1, -2)

        class Doubled(lib.nn.Module):  # type: ignore[name-defined, misc]
            def forward(self, x: Any) -> Any:
                return x * 2

            def right_inverse(self, x: Any) -> Any:
                return x / 2

        m = filled(lib, lib.nn.Linear(3, 3))
        parametrize.register_parametrization(m, "weight", Symmetric())
        parametrize.register_parametrization(m, "bias", Doubled())
        with parametrize.cached():
            kept = m.weight is m.weight
        found = [m(lib.ones(1, 3)), kept, m.weight, m.bias, dict(m.state_dict()), type(m).__name__]
        parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
        return [*found, dict(m.state_dict())]

    both(program)


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    fw.manual_seed(0)
    m = fw.nn.utils.parametrizations.spectral_norm(fw.nn.Linear(5, 7))
    for _ in range(20):
        m(fw.ones(1, 5))
    assert np.linalg.svd(m.weight.detach().numpy())[1].max() == pytest.approx(1.0, rel=1e-3)
    kept = m.eval().weight.detach().numpy()
    np.testing.assert_array_equal(kept, m.weight.detach().numpy())


@needs_torch
def test_vectors_and_fusion() -> None:
    def program(lib: Any) -> Any:
        utils = lib.nn.utils
        m = filled(lib, lib.nn.Sequential(lib.nn.Conv2d(2, 3, 2), lib.nn.BatchNorm2d(3)))
        x = lib.from_numpy(np.random.default_rng(2).standard_normal((2, 2, 4, 4)).astype(np.float32))
        m(x)
        m.eval()
        line = utils.parameters_to_vector(m.parameters())
        fused = utils.fuse_conv_bn_eval(m[0], m[1])
        found = [line, fused(x), m(x), fused.weight]
        utils.vector_to_parameters(line * 2, m.parameters())
        return [*found, dict(m.state_dict())]

    both(program)


@needs_torch
def test_averages_of_models() -> None:
    def program(lib: Any) -> Any:
        swa = importlib.import_module(f"{lib.__name__}.optim.swa_utils")
        m = filled(lib, lib.nn.Linear(2, 2))
        o = lib.optim.SGD(m.parameters(), 0.5)
        mean, ema = swa.AveragedModel(m), swa.AveragedModel(m, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
        scheduler, rates = swa.SWALR(o, 0.05, 4), []
        for i in range(6):
            o.zero_grad()
            m(lib.ones(1, 2) * i).square().sum().mul(0.01).backward()
            o.step()
            mean.update_parameters(m)
            ema.update_parameters(m)
            scheduler.step()
            rates += scheduler.get_last_lr()
        return [dict(mean.state_dict()), dict(ema.state_dict()), rates]

    both(program)


@needs_torch
def test_scaled_gradients() -> None:
    def program(lib: Any) -> Any:
        amp = importlib.import_module(f"{lib.__name__}.amp")
        m = filled(lib, lib.nn.Linear(2, 2))
        o, scaler, found = lib.optim.SGD(m.parameters(), 0.1), amp.GradScaler("cpu", 256.0, growth_interval=2), []
        for i in range(5):
            o.zero_grad()
            loss = m(lib.ones(1, 2)).square().mean()
            scaler.scale(loss * (float("inf") if i == 2 else 1.0)).backward()
            scaler.step(o)
            scaler.update()
            found += [scaler.get_scale(), m.weight.detach().clone()]
        return [*found, scaler.state_dict()]

    both(program)


def test_autocast_takes_pytorch_s_arguments() -> None:
    with fw.amp.autocast("cpu", dtype=fw.bfloat16), fw.autocast("cpu", enabled=False):
        assert (fw.ones(2) * 2).tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'abacus'"):
        fw.amp.autocast("abacus")


@needs_torch
def test_transformer() -> None:
    def program(lib: Any) -> Any:
        m = filled(lib, lib.nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True))
        rng = np.random.default_rng(2)
        src, tgt = (lib.from_numpy(rng.standard_normal((2, n, 8)).astype(np.float32)) for n in (4, 3))
        mask = m.generate_square_subsequent_mask(3)
        return [m(src, tgt, tgt_mask=mask), mask, list(m.state_dict())]

    both(program)


def test_initialisers() -> None:
    init = fw.nn.init
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        w = init.orthogonal_(fw.empty(*shape), gain=2.0).reshape(shape[0], -1).numpy()
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)
    assert init.eye_(fw.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.dirac_(fw.empty(4, 2, 3), groups=2).sum((1,)).tolist() == [[0, 1, 0]] * 4
    assert (init.sparse_(fw.empty(10, 4), 0.3) == 0).sum(0).tolist() == [3, 3, 3, 3]
    assert init.calculate_gain("conv_transpose2d") == 1.0
