"""The PyTorch names that 26 real programs use, with the number of programs, by where they lie. Data only."""

from __future__ import annotations

NAMES = """
torch.Tensor = item:24 backward:23 to:22 view:19 size:17 sum:14 float:13 mean:12 shape:12 unsqueeze:11 transpose:10
    contiguous:9 device:9 reshape:9 detach:8 sqrt:8 data:7 eq:7 max:7 tolist:7 argmax:6 cpu:6 dim:6 dtype:6 numel:6
    pow:6 type:6 clone:5 expand:5 fill_:5 flatten:5 log:5 masked_fill:5 ndim:5 norm:5 numpy:5 relu:5 sigmoid:5 t:5
    type_as:5 T:4 copy_:4 cos:4 cuda:4 div_:4 exp:4 mul:4 requires_grad:4 squeeze:4 add_:3 clamp:3 div:3 mul_:3 name:3
    permute:3 repeat:3 sin:3 softmax:3 std:3 stride:3 unbind:3 view_as:3 abs:2 amax:2 bernoulli_:2 ceil:2 chunk:2
    clip:2 double:2 expand_as:2 floor:2 gather:2 grad:2 is_cuda:2 long:2 new_zeros:2 repeat_interleave:2 resize:2
    rsqrt:2 square:2 sub:2 tanh:2 to_sparse:2 topk:2 unfold:2 uniform_:2 unique:2 amin argsort bfloat16 bmm bool clamp_
    erf erfinv_ flip half indices int is_contiguous is_xpu lerp log2 mT masked_fill_ matmul median mm mode narrow
    nelement new_empty new_full new_tensor normal_ pin_memory prod q_scale requires_grad_ reshape_as scatter_ sigmoid_
    sqrt_ tanh_ tile trace triu triu_ unflatten var where zero_
torch = nn:23 manual_seed:19 no_grad:19 save:17 cat:16 device:16 load:12 tensor:12 ones:11 arange:10 optim:10 zeros:9
    Tensor:8 long:8 randn:7 stack:7 cos:6 exp:6 multinomial:6 sin:6 float:5 float32:5 from_numpy:5 matmul:5 sum:5
    where:5 empty:4 eye:4 full:4 inference_mode:4 int64:4 log:4 randint:4 randperm:4 tanh:4 topk:4 tril:4 FloatTensor:3
    LongTensor:3 bool:3 mm:3 ones_like:3 rsqrt:3 triu:3 bfloat16:2 bucketize:2 compile:2 diag:2 einsum:2 flatten:2
    float16:2 linspace:2 max:2 mean:2 meshgrid:2 multiprocessing:2 outer:2 pi:2 pow:2 rand:2 sigmoid:2 softmax:2
    sparse_coo_tensor:2 var:2 view_as_real:2 zeros_like:2 Generator Size __version__ _assert add addcmul arccos arcsin
    arctan argmax argsort autocast bitwise_and bmm clamp contiguous_format cumsum distributed double dtype empty_like
    erfinv finfo float64 fmod gather get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype
    get_default_device hstack is_autocast_cpu_enabled is_autocast_enabled is_tensor jagged log1p log2 maximum neg polar
    prod randn_like relu repeat_interleave roll set_default_tensor_type sign sort split spmm sqrt tan trapezoid uint8
    unbind unique var_mean view_as_complex vmap
torch.nn = Module:24 Linear:18 functional:18 Dropout:10 Conv2d:9 ReLU:9 Embedding:8 Parameter:8 ModuleList:7
    Sequential:7 ModuleDict:5 BatchNorm2d:4 LayerNorm:4 LeakyReLU:4 Sigmoid:4 CrossEntropyLoss:3 Dropout2d:3 GELU:3
    MSELoss:3 MaxPool2d:3 NLLLoss:3 AdaptiveAvgPool2d:2 AvgPool2d:2 BCELoss:2 BatchNorm1d:2 Conv1d:2 Conv3d:2
    DataParallel:2 Hardswish:2 Identity:2 PReLU:2 SiLU:2 Softmax:2 Tanh:2 Transformer:2 init:2 AdaptiveMaxPool2d
    ConvTranspose2d ELU Flatten GroupNorm InstanceNorm2d LSTM LSTMCell MaxPool3d MultiheadAttention ParameterList
    PixelShuffle RNN ReflectionPad2d SyncBatchNorm TransformerDecoder Unfold Upsample ZeroPad2d
torch.nn.functional = relu:10 softmax:9 log_softmax:7 cross_entropy:6 dropout:4 max_pool2d:4
    scaled_dot_product_attention:4 interpolate:3 layer_norm:3 nll_loss:3 sigmoid:3 silu:3 adaptive_avg_pool2d:2
    avg_pool2d:2 conv2d:2 gelu:2 pad:2 smooth_l1_loss:2 softplus:2 adaptive_max_pool2d batch_norm binary_cross_entropy
    elu group_norm kl_div l1_loss linear mse_loss normalize prelu relu6 rms_norm tanh
torch.nn.Module = parameters:24 zero_grad:23 eval:18 train:18 state_dict:15 load_state_dict:10 register_buffer:8
    apply:7 forward:5 children:3 modules:3 named_modules:3 named_parameters:3 add_module:2 compile:2 named_children
    register_forward_hook register_parameter share_memory
torch.nn.init = zeros_:8 normal_:6 xavier_normal_:3 xavier_uniform_:3 constant_:2 kaiming_normal_:2 ones_:2
    orthogonal_:2 trunc_normal_:2 uniform_:2 _calculate_fan_in_and_fan_out calculate_gain constant kaiming_normal
    kaiming_uniform_ normal
torch.accelerator = current_accelerator:12 is_available:11 device_count set_device_index
torch.amp = autocast:4
torch.autograd = Function
torch.autograd.profiler = profile
torch.autograd.profiler.record_function = __enter__ __exit__
torch.backends = cudnn:3
torch.backends.cuda = matmul:2 sdp_kernel
torch.backends.cudnn = benchmark:3 allow_tf32:2 deterministic
torch.backends.mps = is_available
torch.classes = load_library
torch.classes.NativeInterpretation = ElementwiseInterpreter
torch.cuda = is_available:6 set_device:4 manual_seed_all:2 HalfTensor get_device_properties is_bf16_supported
    manual_seed synchronize
torch.cuda.amp = GradScaler:2
torch.distributed = init_process_group:4 destroy_process_group:2 all_reduce is_initialized
torch.distributed.ReduceOp = SUM
torch.distributions = Categorical
torch.fft = fft2
torch.linalg = pinv
torch.multiprocessing = Process set_start_method spawn
torch.nested = nested_tensor
torch.nn.attention = SDPBackend sdpa_kernel
torch.nn.attention.SDPBackend = CUDNN_ATTENTION EFFICIENT_ATTENTION FLASH_ATTENTION MATH
torch.nn.modules.activation = MultiheadAttention ReLU
torch.nn.modules.batchnorm = BatchNorm2d SyncBatchNorm _BatchNorm
torch.nn.modules.container = ModuleList
torch.nn.modules.conv = Conv2d
torch.nn.modules.dropout = Dropout
torch.nn.modules.instancenorm = _InstanceNorm
torch.nn.modules.linear = Linear NonDynamicallyQuantizableLinear
torch.nn.modules.normalization = LayerNorm
torch.nn.modules.pixelshuffle = PixelShuffle
torch.nn.modules.rnn = GRU LSTM RNN
torch.nn.modules.sparse = Embedding
torch.nn.modules.transformer = TransformerEncoder TransformerEncoderLayer _get_activation_fn
torch.nn.parallel = DistributedDataParallel:3 data_parallel
torch.nn.utils = clip_grad_norm_:4 parametrize
torch.nn.utils.parametrize = register_parametrization
torch.nn.utils.rnn = pad_sequence:2
torch.optim = Adam:10 AdamW:5 Adadelta:3 SGD:3 LBFGS
torch.optim.lr_scheduler = StepLR:4 CosineAnnealingLR
torch.profiler = record_function
torch.serialization = safe_globals:2
torch.testing = assert_allclose assert_close
torch.utils = data
torch.utils._pytree = tree_flatten tree_unflatten
torch.utils.data = DataLoader:12 Dataset:4 RandomSampler:2 Subset
torch.utils.data.dataloader = DataLoader:2
torch.utils.data.distributed = DistributedSampler
torch.utils.data.sampler = Sampler
torch.utils.model_zoo = _download_url_to_file
torch.utils.tensorboard = SummaryWriter
"""


def names() -> dict[str, int]:
    """Dotted name -> in how many of the programs it stands."""
    found: dict[str, int] = {}
    owner = ""
    for line in NAMES.strip().split("\n"):
        head, _, rest = line.rpartition(" =")
        owner = head or owner
        for word in rest.split():
            name, _, count = word.partition(":")
            found[f"{owner}.{name}"] = int(count or 1)
    return found
