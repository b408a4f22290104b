"""Deep networks: published numbers of weights, stems for the images, gradients everywhere."""

import pytest
import torch
import torchvision.models
from nets import SMALL

from backdoor.architectures.networks import on_meta_device
from backdoor.errors import UserError
from backdoor.settings.registry import ARCHITECTURES

SIZES = [(3, 32, 32), (3, 64, 64)]


def weights(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("kind", "side", "published"),
    [
        ("resnet50", 224, 25_557_032),  # torchvision's documentation
        ("vgg11", 224, 132_863_336),  # the same
        ({"kind": "vgg11", "norm": "batch"}, 224, 132_868_840),  # the same
        ("nasnet_mobile", 224, 5_289_978),  # Keras's NASNetMobile, those that are trained
        ("nasnet_large", 331, 88_753_150),  # Keras's NASNetLarge, the same
    ],
)
def test_weights_at_a_thousand_classes_are_as_many_as_published(kind, side, published) -> None:
    module = on_meta_device(ARCHITECTURES.build(kind), (3, side, side), 1000)
    assert weights(module) == published


def test_preact_resnet18_has_the_weights_that_its_layers_add_up_to() -> None:
    """11,171,146 of the common CIFAR code at 10 classes, and the norm behind the last block."""
    module = on_meta_device(ARCHITECTURES.build("preact_resnet18"), (3, 32, 32), 10)
    assert weights(module) == 11_171_146 + 2 * 512


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("kind", ["resnet50", "nasnet_mobile", "nasnet_large"])
def test_a_step_reaches_every_weight(kind, shape) -> None:
    """Of the full networks, without numbers: shapes fit, and every weight gets a gradient."""
    module = on_meta_device(ARCHITECTURES.build(kind), shape, 10).train()
    logits = module(torch.zeros(2, *shape, device="meta"))
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in module.parameters())


@pytest.mark.parametrize("kind", ["nasnet_mobile", "nasnet_large", "preact_resnet18"])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 66, 66)])
def test_gradients_are_not_zero_anywhere(kind, shape) -> None:
    settings = SMALL[kind] if kind == "preact_resnet18" else {**SMALL[kind], "filters": 96}
    torch.manual_seed(0)
    module = ARCHITECTURES.build(settings).build(shape, 5)
    logits = module(torch.rand(4, *shape))
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    still = [name for name, p in module.named_parameters() if not p.grad.abs().sum() > 0]
    assert not still


# --- held against torchvision ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("resnet50", torchvision.models.resnet50),
        ("resnet18", torchvision.models.resnet18),
        ("torchvision/mobilenet_v3_small", torchvision.models.mobilenet_v3_small),
    ],
)
def test_large_images_get_torchvisions_own_network(kind, theirs) -> None:
    ours, other = (
        ARCHITECTURES.build(kind).build((3, 96, 96), 7).eval(),
        theirs(num_classes=7).eval(),
    )
    other.load_state_dict(ours.state_dict())
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), other(images))


def test_preact_resnet18_computes_what_the_paper_draws() -> None:
    """One block of each kind, written out."""
    from torch.nn import functional as f

    torch.manual_seed(1)
    module = ARCHITECTURES.build(SMALL["preact_resnet18"]).build((3, 16, 16), 5).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2)
    state = module.state_dict()

    def norm(x, name):
        s = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        mean, var, scale, shift = (part[:, None, None] for part in s)
        return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)

    x = images = torch.rand(2, 3, 16, 16)
    x = f.conv2d(x, state["stem.weight"], padding=1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"stage{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            active = norm(x, f"{name}.norm1")
            kept = (
                f.conv2d(active, state[f"{name}.shortcut.weight"], stride=2) if stride == 2 else x
            )
            x = f.conv2d(active, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            x = f.conv2d(norm(x, f"{name}.norm2"), state[f"{name}.conv2.weight"], padding=1) + kept
    features = norm(x, "norm").mean((2, 3))
    logits = features @ state["fc.weight"].T + state["fc.bias"]
    assert torch.allclose(module(images), logits, atol=1e-4)


# --- stems and sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "first", "side"),
    [
        ("resnet50", "conv1", 4),
        ("preact_resnet18", "stem", 4),
        ("nasnet_mobile", "stem.0", 8),
        ("torchvision/densenet121", "features.conv0", 4),
        ("torchvision/alexnet", "features.0", 15),
        ("torchvision/efficientnet_b0", "features.0.0", 2),
    ],
)
def test_small_grey_images_get_a_stem_of_stride_1(kind, first, side) -> None:
    """side: of the last map of a 32 x 32 image."""
    module = on_meta_device(ARCHITECTURES.build(kind), (1, 32, 32), 10)
    stem = module.get_submodule(first)
    assert (stem.in_channels, stem.kernel_size, stem.stride) == (1, (3, 3), (1, 1))
    maps = []
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.register_forward_hook(lambda _, __, out: maps.append(out.shape[2]))
    module(torch.zeros(2, 1, 32, 32, device="meta"))
    assert maps[0] == 32 and maps[-1] == side


def test_other_channels_keep_the_stride_for_large_images() -> None:
    module = on_meta_device(ARCHITECTURES.build("torchvision/densenet121"), (1, 96, 96), 10)
    stem = module.features.conv0
    assert (stem.in_channels, stem.kernel_size, stem.stride) == (1, (7, 7), (2, 2))
    assert isinstance(module.features.pool0, torch.nn.MaxPool2d)


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        ("resnet50", (1, 8, 8), "needs images that leave its batch norm more than one pixel, not 8 x 8"),
        ("preact_resnet18", (3, 8, 8), "more than one pixel, not 8 x 8, but got 'preact_resnet18'"),
        ("nasnet_mobile", (1, 4, 4), "more than one pixel, not 4 x 4"),
        ("torchvision/inception_v3", (3, 32, 32), "cannot take images of 32 x 32 pixels with 3 channels ("),
        ("torchvision/vit_b_16", (3, 40, 40), "cannot take images of 40 x 40 pixels with 3 channels (Input shape indivisible"),
        ({"kind": "nasnet_mobile", "filters": 24}, (3, 96, 96), "filters: must be a multiple of 96 for images of more than 64 pixels, but got 24"),
    ],
)  # fmt: skip
def test_images_that_it_cannot_train_on_are_refused(kind, shape, said) -> None:
    (mistake,) = ARCHITECTURES.build(kind).fits(shape)
    assert said in str(mistake)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("resnet50", (1, 28, 28)), ("vgg11", (1, 8, 8)), ("preact_resnet18", (1, 16, 16)),
        ("nasnet_mobile", (1, 28, 28)), ("torchvision/vit_b_16", (1, 32, 32)),
        ("torchvision/regnet_y_400mf", (3, 32, 32)), ("torchvision/googlenet", (3, 32, 32)),
    ],
)  # fmt: skip
def test_images_that_fit_are_not(kind, shape) -> None:
    assert not list(ARCHITECTURES.build(kind).fits(shape))


# --- settings, names, heads ------------------------------------------------------------------------


def test_drop_path_leaves_branches_out_only_while_training() -> None:
    settings = {**SMALL["nasnet_mobile"], "drop_path": 0.5}
    torch.manual_seed(0)
    module = ARCHITECTURES.build(settings).build((3, 16, 16), 5)
    images = torch.rand(8, 3, 16, 16)
    assert [round(module.get_submodule(f"cell{i}").drop, 3) for i in (1, 3, 5)] == [0.1, 0.3, 0.5]
    cell = module.cell5
    kept = cell._kept(torch.ones(4000, 1, 1, 1))
    assert set(kept.unique().tolist()) == {0.0, 2.0} and abs(kept.mean().item() - 1) < 0.1
    assert not torch.equal(module(images), module(images))
    module.eval()
    assert torch.equal(module(images), module(images))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"kind": "nasnet_mobile", "filters": 50}, "filters: must be a multiple of 24, but got 50"),
        ({"kind": "nasnet_large", "drop_path": 1.0}, "drop_path: must be below 1"),
        ("torchvision/alexnett", "kind: must be torchvision/ and a classification network of torchvision.models, but got 'torchvision/alexnett'. Did you mean 'alexnet'?"),
        ("torchvision/NAME", "must be torchvision/ and a classification network"),
        ("torchvison/alexnet", "must be a known architecture, but got 'torchvison/alexnet'"),
        ("torchvision/fasterrcnn_resnet50_fpn", "a classification network"),
    ],
)  # fmt: skip
def test_wrong_settings_and_names_are_said(kind, said) -> None:
    with pytest.raises(UserError) as caught:
        ARCHITECTURES.build(kind)
    assert said in str(caught.value)


def test_without_timm_its_remedy_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError) as caught:
        ARCHITECTURES.build("timm/resnet26d")
    assert "kind: needs the package timm, but got 'timm/resnet26d'" in str(caught.value)
    assert "pip install 'backdoor-sweeps[timm]'" in str(caught.value)


def test_a_library_name_is_one_kind_however_often_it_is_asked_for() -> None:
    one, other = (ARCHITECTURES.build("torchvision/alexnet") for _ in range(2))
    assert one == other and one.identity() == {"kind": "torchvision/alexnet"}
    assert one != ARCHITECTURES.build("torchvision/vgg13")


@pytest.mark.parametrize(
    ("kind", "head"),
    [("resnet50", "fc"), ("vgg11", "fc"), ("mlp", "3"), ("torchvision/swin_t", "head"), ("torchvision/alexnet", "classifier.6")],
)  # fmt: skip
def test_the_head_is_the_layer_that_gives_the_logits(kind, head) -> None:
    architecture = ARCHITECTURES.build(kind)
    with torch.device("meta"):
        module = architecture.build((3, 32, 32), 6)
    assert architecture.head(module) == head
    assert module.get_submodule(head).out_features == 6


def test_without_a_linear_layer_the_last_convolution_is_the_head() -> None:
    architecture = ARCHITECTURES.build("torchvision/squeezenet1_1")
    with torch.device("meta"):
        module = architecture.build((3, 32, 32), 4)
    assert architecture.head(module) == "classifier.1"
    assert module.get_submodule("classifier.1").out_channels == 4
