"""Stems that fit networks made for ImageNet to small images, and to any number of channels.

The usual way for 32 x 32 photographs: the stem, which would reduce their sides two to four times,
becomes a 3x3 convolution of stride 1, and the max pooling after it is left out.
"""

from __future__ import annotations

from torch import nn

Shape = tuple[int, int, int]
Sides = tuple[int, int]

#: Images with a larger side get the stem that was published for ImageNet.
SMALL_SIDE = 64


def is_small(shape: Shape) -> bool:
    """Whether images (c, h, w) get a stem of stride 1."""
    return max(shape[1:]) <= SMALL_SIDE


def convolution_stem(channels: int, width: int, small: bool) -> nn.Conv2d:
    """The first layer of residual networks: 3x3 of stride 1, or the published 7x7 of stride 2."""
    kernel, stride = (3, 1) if small else (7, 2)
    stem = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem


def fit_resnet(network: nn.Module, shape: Shape) -> nn.Module:
    """Fits the stem of a residual network of torchvision to images (c, h, w), in place."""
    small = is_small(shape)
    network.conv1 = convolution_stem(shape[0], 64, small)
    if small:
        network.maxpool = nn.Identity()
    return network


def fit_first_layers(network: nn.Module, shape: Shape, keep_stride: bool = False) -> nn.Module:
    """Fits a network whose submodules are in the order of their use to images (c, h, w), in place.

    The first convolution takes c channels. If it has a stride and images are small, it becomes 3x3
    of stride 1, and a max pooling before the second convolution is left out; not with
    `keep_stride`.
    """
    names = [
        (name, part)
        for name, part in network.named_modules()
        if isinstance(part, (nn.Conv2d, nn.MaxPool2d))
    ]
    first = next((at for at, (_, part) in enumerate(names) if isinstance(part, nn.Conv2d)), None)
    if first is None:
        return network
    name, conv = names[first]
    assert isinstance(conv, nn.Conv2d)
    if max(conv.stride) > 1 and is_small(shape) and not keep_stride:
        _replace(network, name, _like(conv, shape[0], kernel_size=(3, 3), stride=(1, 1)))
        for follower, part in names[first + 1 :][:1]:
            if isinstance(part, nn.MaxPool2d):
                _replace(network, follower, nn.Identity())
    elif conv.in_channels != shape[0]:
        _replace(network, name, _like(conv, shape[0]))
    return network


def _like(
    conv: nn.Conv2d, channels: int, kernel_size: Sides | None = None, stride: Sides | None = None
) -> nn.Conv2d:
    """A new convolution for so many channels; with a new kernel, images keep their size."""
    padding = conv.padding if kernel_size is None else (kernel_size[0] // 2, kernel_size[1] // 2)
    made = nn.Conv2d(
        channels,
        conv.out_channels,
        kernel_size or conv.kernel_size,  # type: ignore[arg-type]
        stride or conv.stride,  # type: ignore[arg-type]
        padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def _replace(network: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, part)
