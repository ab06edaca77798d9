"""Small programs that use the names of api_names.py. Each is run with PyTorch and with fusewire as `torch`: `out` is alike."""

# ruff: noqa: E501
from __future__ import annotations

PREPARED = """
import math, os, tempfile, warnings
import numpy as np
import torch.nn as nn
import torch.nn.functional as F
x = torch.tensor([[0.5, -1.25, 2.0, 0.75], [1.5, 0.25, -0.5, -2.0], [3.0, 1.0, 0.125, -0.75]])
p = x.abs() + 0.25
i = torch.tensor([[3, 1, 2], [0, 2, 2]])
img = torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6).sin()
vol = torch.linspace(-1, 1, 2 * 2 * 4 * 4 * 4).reshape(2, 2, 4, 4, 4).cos()
seq = torch.linspace(-1, 1, 2 * 5 * 4).reshape(2, 5, 4).sin()
def fill(m):
    with torch.no_grad():
        for k, w in enumerate(m.parameters()):
            w.copy_(torch.linspace(-0.4, 0.5, w.numel()).reshape(w.shape).mul(1 + k).sin() * 0.5)
    return m
"""

TENSORS = r"""
out = [x[0, 0].item(), x.view(2, 6), x.size(), x.size(1), x.shape, x.sum(), x.float(), x.mean(0), x.unsqueeze(1), x.transpose(0, 1), x.t().contiguous(), str(x.device), x.reshape(-1), x.tolist()]
w = x.clone().requires_grad_(); (w * w).sum().backward(); out = [w.grad, w.requires_grad, w.detach(), w.data, w.grad.sqrt().isnan().sum(), x.eq(0.5), x.max(), x.max(1), x.argmax(1), x.cpu(), x.dim(), x.dtype, x.numel(), x.pow(2), x.type()]
y = torch.zeros(3, 4).fill_(2.0); out = [y.clone(), x.expand(2, 3, 4), img.flatten(1), p.log(), x.masked_fill(x < 0, 9.0), x.ndim, x.norm(), x.numpy(), x.relu(), x.sigmoid(), x.t(), i.type_as(x), x.T, y.copy_(x), p.cos(), y.div_(2), x.exp(), x.mul(3)]
y = x.clone(); y.add_(1); y.mul_(2); y.clamp_(-1, 1); out = [y, x.squeeze(), x.clamp(0, 1), x.div(4), x.permute(1, 0), x.repeat(2, 1), x.sin(), x.softmax(1), x.std(), x.std(0), x.stride(), x.unbind(0), x.view_as(y), x.abs(), x.amax(1), x.ceil(), x.chunk(2, 1), x.clip(-1, 1), x.double(), x[:1].expand_as(x)]
out = [x.floor(), x.gather(1, i[:1].expand(3, 3)), x.is_cuda, x.long(), x.new_zeros(2, 3), x.repeat_interleave(2, 0), p.rsqrt(), x.square(), x.sub(1), x.tanh(), x.to_sparse().indices(), x.topk(2), x.unfold(1, 2, 1), i.unique(), x.amin(0), x.argsort(1), x.bfloat16().float(), x[None].bmm(x.T[None]), x.bool()]
y = torch.full((5,), 0.3); y.erfinv_(); z = p.clone(); z.sqrt_(); z.sigmoid_(); z.tanh_(); out = [y, z, x.erf(), x.flip(0), x.half(), x.int(), x.is_contiguous(), x.T.is_contiguous(), x.lerp(p, 0.5), p.log2(), x.mT, x.masked_fill_(x > 2.5, 0.0), x.matmul(x.T), x.median(), x.mm(x.T), i.mode(1), x.narrow(1, 1, 2), x.nelement(), x.clone().bernoulli_(0.5).unique().numel() <= 2]
out = [tuple(x.new_empty(2, 2).shape), x.new_full((2,), 3.0), x.new_tensor([1, 2]), x.prod(), x.requires_grad_().requires_grad, x.detach().reshape_as(p), p.scatter_(1, i[:1], 5.0), x.detach().tile(2), p.mm(p.T).trace(), p.triu(), p.triu_(), p.unflatten(1, (2, 2)), p.var(), p.where(p > 1, torch.zeros(())), p.zero_(), x.name, x.is_xpu, tuple(x.detach().clone().normal_().shape), bool((x.detach().clone().uniform_(2, 3) >= 2).all())]
with warnings.catch_warnings(): warnings.simplefilter("ignore"); out = [x.resize(4, 3), x.grad, x.to(torch.float64), x.to("cpu").equal(x), x.type(torch.int64), x.type("torch.DoubleTensor")]
"""

FUNCTIONS = r"""
torch.manual_seed(0); out = [torch.cat([x, x]), str(torch.device("cpu")), torch.tensor([1, 2]), torch.ones(2), torch.arange(5), torch.zeros(2, 2), torch.long, tuple(torch.randn(3).shape), torch.stack([x, x], 1), torch.cos(x), torch.exp(x), torch.multinomial(p, 2).shape, torch.sin(x), torch.float, torch.float32, torch.from_numpy(np.arange(3.0)), torch.matmul(x, x.T), torch.sum(x, 1), torch.where(x > 0, x, -x), tuple(torch.empty(2, 3).shape)]
with torch.no_grad(): out = [torch.eye(3), torch.full((2, 2), 7), torch.int64, torch.log(p), int(torch.randint(0, 5, (9,)).max()) < 5, torch.randperm(6).sort()[0], torch.tanh(x), torch.topk(x, 2), torch.tril(x), torch.bool, torch.mm(x, x.T), torch.ones_like(x), torch.rsqrt(p), torch.triu(x), torch.bfloat16, torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])), torch.diag(x[:3, :3]), torch.einsum("ij,kj->ik", x, p)]
with torch.inference_mode(): out = [torch.FloatTensor([1, 2]), torch.LongTensor([1, 2]), torch.FloatTensor(2, 3).shape, torch.flatten(img, 1), torch.float16, torch.linspace(0, 1, 5), torch.max(x, 1), torch.mean(x), torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"), torch.outer(x[0], x[1]), torch.pi, torch.pow(p, 1.5), tuple(torch.rand(2).shape), torch.sigmoid(x), torch.softmax(x, 1), torch.var(x), torch.view_as_real(torch.tensor([1 + 2j])), torch.zeros_like(x)]
torch._assert(True, "no"); out = [torch.Size([2, 3]), isinstance(torch.Generator(), torch.Generator), torch.add(x, p), torch.addcmul(x, p, p, value=0.5), torch.arccos(x / 4), torch.arcsin(x / 4), torch.arctan(x), torch.argmax(x), torch.argsort(x, 0), torch.bitwise_and(i, 1), torch.bmm(seq, seq.mT), torch.clamp(x, 0), torch.contiguous_format, torch.cumsum(x, 1), torch.double, isinstance(torch.float32, torch.dtype), torch.empty_like(x).shape, torch.erfinv(x / 4), torch.finfo(torch.float32).eps, torch.float64]
out = [torch.fmod(x, 0.5), torch.gather(x, 1, i[:1]), str(torch.get_default_device()), torch.hstack([x, x]), torch.is_tensor(x), torch.log1p(p), torch.log2(p), torch.maximum(x, p), torch.neg(x), torch.polar(p, x), torch.prod(x), torch.randn_like(x).shape, torch.relu(x), torch.repeat_interleave(x, 2, 1), torch.roll(x, 1, 0), torch.sign(x), torch.sort(x, 1), torch.split(x, 2), torch.sqrt(p), torch.tan(x), torch.trapezoid(x), torch.uint8, torch.unbind(x), torch.unique(i), torch.var_mean(x), torch.view_as_complex(torch.ones(3, 2))]
s = torch.sparse_coo_tensor(torch.tensor([[0, 1, 1], [2, 0, 2]]), torch.tensor([3.0, 4.0, 5.0]), (2, 3)); out = [torch.spmm(s, x), s.to_dense(), s.coalesce().values(), s.coalesce().indices(), torch.vmap(lambda a: a.sum())(x), isinstance(x, torch.Tensor), isinstance(torch.__version__, str)]
f = torch.compile(lambda a: a * 2 + 1, backend="eager"); out = f(x)
torch.set_default_tensor_type(torch.DoubleTensor); out = [torch.zeros(1).dtype]; torch.set_default_tensor_type(torch.FloatTensor); out += [torch.zeros(1).dtype, torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled(), torch.is_autocast_cpu_enabled(), torch.get_autocast_gpu_dtype(), torch.get_autocast_cpu_dtype()]
with torch.autocast("cpu", dtype=torch.bfloat16): out = (x @ x.T).dtype
path = os.path.join(tempfile.mkdtemp(), "a.pt"); torch.save({"x": x, "n": 3}, path); out = torch.load(path)
out = [torch.fft.fft2(x), torch.linalg.pinv(x), torch.cuda.is_available(), torch.backends.mps.is_available()]
out = [torch.optim.Adam, torch.nn.Linear, torch.jagged, torch.distributed.is_initialized(), torch.multiprocessing.get_start_method()][3]
"""

LAYERS = r"""
m = fill(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Sigmoid())); out = [m(x), nn.Tanh()(x), nn.LeakyReLU(0.2)(x), nn.GELU()(x), nn.Softmax(1)(x), nn.ELU()(x), nn.SiLU()(x), nn.Hardswish()(x), nn.PReLU()(x), nn.Identity()(x), nn.Flatten()(img).shape, str(m)]
m = fill(nn.Conv2d(4, 3, 3, padding=1)); out = [m(img), fill(nn.ConvTranspose2d(4, 2, 2, stride=2))(img), nn.MaxPool2d(2)(img), nn.AvgPool2d(2)(img), nn.AdaptiveAvgPool2d(2)(img), nn.AdaptiveMaxPool2d(3)(img), nn.BatchNorm2d(4)(img), nn.InstanceNorm2d(4)(img), nn.GroupNorm(2, 4)(img), nn.PixelShuffle(2)(img), nn.ReflectionPad2d(1)(img), nn.ZeroPad2d(1)(img), nn.Upsample(scale_factor=2)(img), nn.Unfold(2)(img)]
out = [fill(nn.Conv1d(5, 2, 3))(seq), fill(nn.Conv3d(2, 2, 3))(vol), nn.MaxPool3d(2)(vol), nn.BatchNorm1d(4)(x), nn.LayerNorm(4)(x), fill(nn.Embedding(5, 3))(i), nn.Dropout(0.5).eval()(x), nn.Dropout2d(0.0)(img)]
t = torch.tensor([1, 0, 3]); out = [nn.CrossEntropyLoss()(x, t), nn.MSELoss()(x, p), nn.NLLLoss()(x.log_softmax(1), t), nn.BCELoss()(x.sigmoid(), (p > 1).float())]
out = [fill(nn.LSTM(4, 3, batch_first=True))(seq), fill(nn.GRU(4, 3))(seq), fill(nn.RNN(4, 3))(seq), fill(nn.LSTMCell(4, 3))(x)]
m = fill(nn.MultiheadAttention(4, 2, batch_first=True)).eval(); d = fill(nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), 1)).eval(); e = fill(nn.Transformer(4, 2, 1, 1, 8, batch_first=True)).eval(); out = [m(seq, seq, seq), d(seq, seq), e(seq, seq)]
m = nn.Module(); m.w = nn.Parameter(x.clone()); m.l = nn.ModuleList([fill(nn.Linear(2, 2))]); m.d = nn.ModuleDict({"a": nn.ReLU()}); m.p = nn.ParameterList([nn.Parameter(p.clone())]); m.register_buffer("b", i); m.register_parameter("q", None); m.add_module("z", nn.Sigmoid()); out = [[n for n, _ in m.named_parameters()], [n for n, _ in m.named_modules()], [n for n, _ in m.named_children()], len(list(m.children())), len(list(m.modules())), list(m.state_dict()), sum(w.numel() for w in m.parameters()), m.eval().training, m.train().training]
m = fill(nn.Linear(4, 2)); seen = []; h = m.register_forward_hook(lambda mod, args, o: seen.append(o.sum().item())); m(x).sum().backward(); h.remove(); m.zero_grad(); k = nn.Linear(4, 2); k.load_state_dict(m.state_dict()); out = [seen, m.weight.grad is None, k(x), m.forward(x), m.apply(lambda mod: None) is m, m.share_memory() is m]; m.compile(backend="eager"); out.append(m(x))
nn.init.zeros_(x); out = [x.sum(), nn.init.constant_(x, 2.0), nn.init.ones_(x), [f(torch.empty(3, 4)).shape for f in (nn.init.normal_, nn.init.xavier_normal_, nn.init.xavier_uniform_, nn.init.kaiming_normal_, nn.init.orthogonal_, nn.init.trunc_normal_, nn.init.uniform_, nn.init.kaiming_uniform_)], nn.init._calculate_fan_in_and_fan_out(x), nn.init.calculate_gain("relu")]
with warnings.catch_warnings(): warnings.simplefilter("ignore"); out = [nn.init.constant(x.clone(), 3.0), nn.init.kaiming_normal(x.clone()).shape, nn.init.normal(x.clone()).shape]
t = torch.tensor([1, 0, 3]); q = p.softmax(1); out = [F.relu(x), F.softmax(x, 1), F.log_softmax(x, 1), F.cross_entropy(x, t), F.dropout(x, 0.0), F.max_pool2d(img, 2), F.scaled_dot_product_attention(seq, seq, seq), F.interpolate(img, scale_factor=2, mode="bilinear"), F.layer_norm(x, (4,)), F.nll_loss(x, t), F.sigmoid(x), F.silu(x), F.adaptive_avg_pool2d(img, 3), F.avg_pool2d(img, 2), F.conv2d(img, torch.ones(2, 4, 3, 3)), F.gelu(x), F.pad(x, (1, 1)), F.smooth_l1_loss(x, p), F.softplus(x)]
q = p.softmax(1); out = [F.adaptive_max_pool2d(img, 3), F.batch_norm(img, None, None, training=True), F.binary_cross_entropy(q, q), F.elu(x), F.group_norm(img, 2), F.kl_div(q.log(), q.flip(0), reduction="batchmean"), F.l1_loss(x, p), F.linear(x, x), F.mse_loss(x, p), F.normalize(x), F.prelu(x, torch.tensor(0.1)), F.relu6(x * 4), F.rms_norm(x, (4,)), F.tanh(x)]
from torch.nn.modules.batchnorm import _BatchNorm; from torch.nn.modules.instancenorm import _InstanceNorm; from torch.nn.modules.transformer import _get_activation_fn; from torch.nn.modules.linear import NonDynamicallyQuantizableLinear; out = [isinstance(nn.BatchNorm2d(2), _BatchNorm), isinstance(nn.Linear(1, 1), _BatchNorm), isinstance(nn.SyncBatchNorm(2), _BatchNorm), isinstance(nn.InstanceNorm2d(2), _InstanceNorm), _get_activation_fn("relu")(x), fill(NonDynamicallyQuantizableLinear(4, 2))(x)]
out = [torch.nn.modules.activation.MultiheadAttention is nn.MultiheadAttention, torch.nn.modules.activation.ReLU is nn.ReLU, torch.nn.modules.batchnorm.BatchNorm2d is nn.BatchNorm2d, torch.nn.modules.batchnorm.SyncBatchNorm is nn.SyncBatchNorm, torch.nn.modules.container.ModuleList is nn.ModuleList, torch.nn.modules.conv.Conv2d is nn.Conv2d, torch.nn.modules.dropout.Dropout is nn.Dropout, torch.nn.modules.linear.Linear is nn.Linear, torch.nn.modules.normalization.LayerNorm is nn.LayerNorm, torch.nn.modules.pixelshuffle.PixelShuffle is nn.PixelShuffle, torch.nn.modules.rnn.GRU is nn.GRU, torch.nn.modules.rnn.LSTM is nn.LSTM, torch.nn.modules.rnn.RNN is nn.RNN, torch.nn.modules.sparse.Embedding is nn.Embedding, torch.nn.modules.transformer.TransformerEncoder is nn.TransformerEncoder, torch.nn.modules.transformer.TransformerEncoderLayer is nn.TransformerEncoderLayer]
"""

REST = r"""
from torch.optim import Adam, AdamW, Adadelta, SGD, LBFGS; from torch.optim.lr_scheduler import StepLR, CosineAnnealingLR; out = []
from torch.optim import Adam, AdamW, Adadelta, SGD; out = [[(lambda m, o: (m(x).square().sum().backward(), o.step(), m.weight.detach().clone())[2])(m, kind(m.parameters(), lr=0.1)) for kind in (Adam, AdamW, Adadelta, SGD)] for m in [fill(nn.Linear(4, 2))]]
m = fill(nn.Linear(4, 2)); o = torch.optim.LBFGS(m.parameters(), lr=0.5, max_iter=3); o.step(lambda: (o.zero_grad(), m(x).square().sum(), )[1].backward() or m(x).square().sum()); out = m.weight.detach()
o = torch.optim.SGD([nn.Parameter(x)], lr=1.0); a = torch.optim.lr_scheduler.StepLR(o, 2, 0.5); b = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([nn.Parameter(x)], lr=1.0), 4); out = []; [(o.step(), a.step(), b.optimizer.step(), b.step(), out.append((a.get_last_lr(), b.get_last_lr()))) for _ in range(5)]
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset, TensorDataset; from torch.utils.data.sampler import Sampler; from torch.utils.data.dataloader import DataLoader as Same; d = TensorDataset(x, i[0]); out = [list(DataLoader(d, 2)), list(DataLoader(Subset(d, [2, 0]), 1)), sorted(RandomSampler(d)), Same is DataLoader, issubclass(RandomSampler, Sampler), issubclass(TensorDataset, Dataset)]
from torch.utils.data.distributed import DistributedSampler; out = [list(DistributedSampler(range(7), 3, r, shuffle=False)) for r in range(3)] + [[len(s), s.total_size] for s in [DistributedSampler(range(7), 3, 0, drop_last=True)]]
from torch.utils._pytree import tree_flatten, tree_unflatten; leaves, spec = tree_flatten({"a": [x, 1], "b": (2, {"c": p})}); out = [leaves, tree_unflatten([1, 2, 3, 4], spec), spec.num_leaves]
from torch.nn.utils.rnn import pad_sequence; from torch.nn.utils import clip_grad_norm_, parametrize; w = nn.Parameter(x.clone()); (w * w).sum().backward(); out = [clip_grad_norm_([w], 1.0), w.grad, pad_sequence([x[0], x[1, :2]], batch_first=True)]
class Twice(nn.Module):\n    def forward(self, w): return w * 2\nm = fill(nn.Linear(4, 2)); torch.nn.utils.parametrize.register_parametrization(m, "weight", Twice()); out = [m(x), m.weight.detach(), nn.utils.parametrize.is_parametrized(m)]
class Cube(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a): ctx.save_for_backward(a); return a ** 3\n    @staticmethod\n    def backward(ctx, g): return g * 3 * ctx.saved_tensors[0] ** 2\nw = x.clone().requires_grad_(); Cube.apply(w).sum().backward(); out = w.grad
d = torch.distributions.Categorical(logits=x); out = [d.log_prob(torch.tensor([1, 0, 3])), d.entropy(), d.probs]
with torch.autograd.profiler.profile() as prof, torch.autograd.profiler.record_function("part"): y = x + 1\nout = any(r.key == "part" for r in prof.key_averages())
with torch.profiler.record_function("step"): out = x * 2
with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.MATH, torch.nn.attention.SDPBackend.FLASH_ATTENTION]): out = [F.scaled_dot_product_attention(seq, seq, seq), torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION.value, torch.nn.attention.SDPBackend.CUDNN_ATTENTION.value]
n = torch.nested.nested_tensor([x, x[:2]], layout=torch.jagged); out = [n.size(0), [a for a in n.unbind()], n.to_padded_tensor(-1.0), n.is_nested]
torch.testing.assert_close(x, x.clone()); out = []\ntry: torch.testing.assert_close(x, x + 1e-3)\nexcept AssertionError as e: out = str(e)[:60]
with warnings.catch_warnings():\n    warnings.simplefilter("ignore"); torch.testing.assert_allclose(x, x + 1e-7); out = 1
with torch.serialization.safe_globals([]): out = 1
torch.backends.cudnn.benchmark = True; torch.backends.cudnn.allow_tf32 = True; torch.backends.cudnn.deterministic = True; torch.backends.cuda.matmul.allow_tf32 = True; out = [torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic]; torch.backends.cudnn.benchmark = False; torch.backends.cudnn.deterministic = False
with warnings.catch_warnings():\n    warnings.simplefilter("ignore")\n    with torch.backends.cuda.sdp_kernel(enable_flash=False): out = F.scaled_dot_product_attention(seq, seq, seq)
from torch.nn.parallel import DistributedDataParallel, data_parallel; m = fill(nn.Linear(4, 2)); out = [nn.DataParallel(m)(x) if not torch.cuda.is_available() else m(x), [n for n, _ in nn.DataParallel(m).named_parameters()]]
out = [torch.accelerator.is_available(), torch.accelerator.current_accelerator(), torch.accelerator.device_count()]
torch.cuda.manual_seed(1); torch.cuda.manual_seed_all(1); s = torch.amp.GradScaler("cpu"); out = [s.get_scale(), s.is_enabled(), torch.distributed.ReduceOp.SUM == torch.distributed.ReduceOp.SUM, torch.multiprocessing.Process.__name__ in ("Process",)]
os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="29517"); torch.distributed.init_process_group("gloo"); torch.distributed.all_reduce(x); out = [x, torch.distributed.get_world_size(), torch.distributed.is_initialized()]; m = fill(nn.Linear(4, 2)); w = torch.nn.parallel.DistributedDataParallel(m); w(x).sum().backward(); out += [m.weight.grad, [n for n, _ in w.named_parameters()]]; torch.distributed.destroy_process_group()
def run(a, b): return a + b\nout = [torch.multiprocessing.get_context("fork").Process.__name__, callable(torch.multiprocessing.spawn), callable(torch.multiprocessing.set_start_method)]
g = nn.BatchNorm2d(4); c = torch.nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(g)); out = type(c[0]).__name__
torch.manual_seed(3); torch.cuda.is_bf16_supported; out = [str(torch.zeros(2)), torch.get_default_dtype()]
"""

PROGRAMS = [line for table in (TENSORS, FUNCTIONS, LAYERS, REST) for line in table.strip().split("\n")]

#: names that no program above runs on both, and why
REFUSED = {
    "torch.Tensor.cuda": "no GPU here: DeviceError, as PyTorch's RuntimeError",
    "torch.Tensor.q_scale": "no quantised tensors: RuntimeError, as PyTorch's of a plain one",
    "torch.Tensor.indices": "of a dense tensor RuntimeError in both; compared on a sparse one",
    "torch.Tensor.pin_memory": "PyTorch raises without a GPU; here it gives self",
    "torch.cuda.HalfTensor": "no GPU here",
    "torch.cuda.set_device": "no GPU here: DeviceError",
    "torch.cuda.synchronize": "no GPU here: DeviceError",
    "torch.cuda.get_device_properties": "no GPU here: DeviceError",
    "torch.accelerator.set_device_index": "no accelerator here: DeviceError",
    "torch.cuda.amp.GradScaler": "compared as torch.amp.GradScaler",
    "torch.amp.autocast": "compared as torch.autocast",
    "torch.classes.load_library": "libraries of PyTorch operators: OSError",
    "torch.classes.NativeInterpretation.ElementwiseInterpreter": "a class made in C++: RuntimeError, as PyTorch's",
    "torch.utils.model_zoo._download_url_to_file": "fetches from the net; tested with file addresses",
    "torch.utils.tensorboard.SummaryWriter": "needs the tensorboardX package: ImportError that says so",
    "torch.multiprocessing.spawn": "tests/names/test_processes.py",
    "torch.multiprocessing.set_start_method": "changes the process; Python's own function",
    "torch.autograd.profiler.record_function.__enter__": "called by with",
    "torch.autograd.profiler.record_function.__exit__": "called by with",
}
