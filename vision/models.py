"""Networks for images: ResNet, VGG, AlexNet, LeNet-5. Parameters have the names that torchvision's have, so that its state dicts
load.

Trained weights are not here: ``weights`` other than None is an error that says how to load a file of them.
Methods: K. He et al., Deep residual learning (2015); K. Simonyan, A. Zisserman, Very deep convolutional networks (2014);
A. Krizhevsky, One weird trick for parallelizing convolutional neural networks (2014); Y. LeCun et al. (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from .. import nn
from ..eager.functional import flatten
from ..eager.tensor import Tensor

__all__ = [
    "VGG", "AlexNet", "BasicBlock", "Bottleneck", "LeNet", "ResNet", "alexnet", "lenet", "resnet18", "resnet34", "resnet50",
    "resnet101", "resnet152", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    "wide_resnet50_2",
]  # fmt: skip

Norm = Callable[[int], nn.Module]


def _untrained(name: str, weights: Any, pretrained: Any = False) -> None:
    if weights is not None or pretrained:
        raise ValueError(
            f"{name} has no trained weights here: make it with weights=None, and give it those of a file by "
            "model.load_state_dict(load(path)); torchvision's files fit"
        )


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Module:
    """Without bias, of the input's size (over the stride)."""
    padding = dilation if size == 3 else 0
    return nn.Conv2d(inputs, outputs, size, stride, padding, dilation=dilation if size == 3 else 1, groups=groups, bias=False)


def _zero(bias: nn.Parameter | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)


class _Block(nn.Module):
    """Convolutions beside a shortcut: `downsample`, or the input itself."""

    expansion = 1
    relu: nn.Module

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._fill(inplanes, planes, stride, groups, base_width, dilation, norm_layer or nn.BatchNorm2d)
        self.downsample = downsample
        self.stride = stride

    def _fill(self, inplanes: int, planes: int, stride: int, groups: int, base: int, dilation: int, norm: Norm) -> None:
        raise NotImplementedError

    def beside(self, x: Any) -> Any:
        """What `forward` adds the shortcut to."""
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """[B, inplanes, H, W] to [B, expansion * planes, H / stride, W / stride]."""
        return self.relu(self.beside(x) + (x if self.downsample is None else self.downsample(x)))


class BasicBlock(_Block):
    """Two 3x3 convolutions beside a shortcut."""

    def _fill(self, inplanes: int, planes: int, stride: int, groups: int, base: int, dilation: int, norm: Norm) -> None:
        if groups != 1 or base != 64 or dilation > 1:
            raise ValueError("BasicBlock has groups=1, base_width=64 and dilation=1")
        self.conv1, self.bn1 = _convolution(inplanes, planes, 3, stride), norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _convolution(planes, planes, 3), norm(planes)

    def beside(self, x: Any) -> Any:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is that of the 3x3 one."""

    expansion = 4

    def _fill(self, inplanes: int, planes: int, stride: int, groups: int, base: int, dilation: int, norm: Norm) -> None:
        width, wide = int(planes * (base / 64.0)) * groups, planes * self.expansion
        self.conv1, self.bn1 = _convolution(inplanes, width, 1), norm(width)
        self.conv2, self.bn2 = _convolution(width, width, 3, stride, groups, dilation), norm(width)
        self.conv3, self.bn3 = _convolution(width, wide, 1), norm(wide)
        self.relu = nn.ReLU(inplace=True)

    def beside(self, x: Any) -> Any:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))


class ResNet(nn.Module):
    """A stem, four stages of blocks, the mean over all places, a linear layer: [B, 3, H, W] to [B, num_classes]."""

    def __init__(
        self, block: Any, layers: Sequence[int], num_classes: int = 1000, zero_init_residual: bool = False, groups: int = 1,
        width_per_group: int = 64, replace_stride_with_dilation: Sequence[bool] | None = None, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        dilate = list(replace_stride_with_dilation or (False, False, False))
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation has one value for each of three stages, not {dilate}")
        self.inplanes, self.dilation, self.groups, self.base_width = 64, 1, groups, width_per_group
        self._norm: Norm = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = self._norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(block, 64, layers[0])
        self.layer2 = self._stage(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._stage(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._stage(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._start(zero_init_residual)

    def _start(self, zero_init_residual: bool) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(cast(Tensor, m.weight))
                _zero(m.bias)
        for m in self.modules() if zero_init_residual else ():
            last = getattr(m, "bn3", None) if isinstance(m, Bottleneck) else getattr(m, "bn2", None)
            if isinstance(m, (Bottleneck, BasicBlock)) and last is not None:
                nn.init.constant_(last.weight, 0)

    def _stage(self, block: Any, planes: int, count: int, stride: int = 1, dilate: bool = False) -> nn.Module:
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        shortcut = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            wide = planes * block.expansion
            shortcut = nn.Sequential(_convolution(self.inplanes, wide, 1, stride), self._norm(wide))
        common = self.groups, self.base_width
        blocks = [block(self.inplanes, planes, stride, shortcut, *common, before, self._norm)]
        self.inplanes = planes * block.expansion
        blocks += [block(self.inplanes, planes, 1, None, *common, self.dilation, self._norm) for _ in range(1, count)]
        return nn.Sequential(*blocks)

    def forward(self, x: Any) -> Any:
        """[B, 3, H, W] to [B, num_classes]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(flatten(self.avgpool(x), 1))


def _resnet(name: str, block: Any, layers: Sequence[int], **fixed: Any) -> Callable[..., ResNet]:
    def make(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **options: Any) -> ResNet:
        _untrained(name, weights, pretrained)
        return ResNet(block, layers, **{**fixed, **options})

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"ResNet with {layers} blocks of {block.__name__}; `options` are those of `ResNet`. ValueError for `weights`."
    return make


resnet18 = _resnet("resnet18", BasicBlock, [2, 2, 2, 2])
resnet34 = _resnet("resnet34", BasicBlock, [3, 4, 6, 3])
resnet50 = _resnet("resnet50", Bottleneck, [3, 4, 6, 3])
resnet101 = _resnet("resnet101", Bottleneck, [3, 4, 23, 3])
resnet152 = _resnet("resnet152", Bottleneck, [3, 8, 36, 3])
wide_resnet50_2 = _resnet("wide_resnet50_2", Bottleneck, [3, 4, 6, 3], width_per_group=128)


class VGG(nn.Module):
    """3x3 convolutions and pools (`features`), then three linear layers: [B, 3, H, W] to [B, num_classes]."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(True),
            nn.Dropout(dropout), nn.Linear(4096, num_classes),
        )  # fmt: skip
        for m in self.modules() if init_weights else ():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                _zero(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                _zero(m.bias)

    def forward(self, x: Any) -> Any:
        """[B, 3, H, W] to [B, num_classes]."""
        return self.classifier(flatten(self.avgpool(self.features(x)), 1))


_VGG = {11: [1, 1, 2, 2, 2], 13: [2, 2, 2, 2, 2], 16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4]}


def _features(depth: int, norm: bool) -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for stage, count in enumerate(_VGG[depth]):
        outputs = min(64 << stage, 512)
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU(True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def _vgg(depth: int, norm: bool) -> Callable[..., VGG]:
    name = f"vgg{depth}{'_bn' * norm}"

    def make(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **options: Any) -> VGG:
        _untrained(name, weights, pretrained)
        return VGG(_features(depth, norm), **options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"VGG of {depth} layers{' with BatchNorm' * norm}; `options` are those of `VGG`. ValueError for `weights`."
    return make


vgg11, vgg13, vgg16, vgg19 = (_vgg(depth, False) for depth in _VGG)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (_vgg(depth, True) for depth in _VGG)


class AlexNet(nn.Module):
    """Five convolutions, three linear layers: [B, 3, H, W] (63x63 at least) to [B, num_classes]."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(True),
            nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True), nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(True), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(True), nn.Dropout(dropout), nn.Linear(4096, 4096),
            nn.ReLU(True), nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """[B, 3, H, W] to [B, num_classes]."""
        return self.classifier(flatten(self.avgpool(self.features(x)), 1))


def alexnet(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **options: Any) -> AlexNet:
    """`AlexNet`. ValueError for `weights`."""
    _untrained("alexnet", weights, pretrained)
    return AlexNet(**options)


class LeNet(nn.Module):
    """LeNet-5 with ReLU and maximum pools: [B, channels, 28, 28] to [B, num_classes]."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes)
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """[B, channels, 28, 28] to [B, num_classes]."""
        return self.classifier(flatten(self.features(x), 1))


def lenet(**options: Any) -> LeNet:
    """`LeNet`, a small network to begin with."""
    return LeNet(**options)
