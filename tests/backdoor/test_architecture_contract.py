"""The contract of an architecture, run by every kind."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from nets import SMALL_KINDS as KINDS
from nets import name_of

from backdoor.architectures.networks import Network
from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source
from backdoor.engines import Engine, engine_of, init_state, threads
from backdoor.settings.registry import ARCHITECTURES
from backdoor.trial import prepare


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are slower with more, above all beside other tests."""
    with threads(1):
        yield


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
class TestArchitecture:
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
    def test_logits(self, kind, shape) -> None:
        module = ARCHITECTURES.build(kind).build(shape, 7)
        dtype = next(module.parameters()).dtype
        assert module(torch.zeros(2, *shape, dtype=dtype)).shape == (2, 7)

    def test_initialisation_follows_the_seed_alone(self, kind) -> None:
        from trials import trial

        states = [init_state(c, (1, 8, 8), 10).state_dict() for c in
                  (trial(kind), trial(kind, weight_decay=0.1, rate=0.01), trial(kind, seed=1))]  # fmt: skip
        name = next(iter(states[0]))
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert not torch.equal(states[0][name], states[2][name])

    def test_a_trained_state_loads_and_answers_as_the_engine_does(self, kind) -> None:
        from trials import DIGITS, FEW, trial

        deep = isinstance(ARCHITECTURES.build(kind), Network)
        data = replace(DIGITS, train=20, validation=5, test=20) if deep else FEW
        config = trial(kind, data=data, epochs=1, rate=0.1, weight_decay=0.01)
        members, store = prepare([config], (), load_source(data))
        fitted = engine_of(config).train(members, store, 10, None)
        module = config.defence.architecture.build(store.shape, 10).eval()
        module.load_state_dict(fitted.state(0))
        dtype = next(module.parameters()).dtype
        logits = module(store.batch(torch.from_numpy(members[0].test)).to(dtype))
        assert np.array_equal(logits.argmax(1).numpy(), fitted.predict(0, members[0].test))

    def test_its_identity_builds_it_again(self, kind) -> None:
        architecture = ARCHITECTURES.build(kind)
        assert ARCHITECTURES.build(architecture.identity()) == architecture

    def test_it_has_an_engine_and_only_real_factors_are_inactive(self, kind) -> None:
        from trials import trial

        config: TrialConfig = trial(kind)
        engine: Engine = engine_of(config)
        assert engine.name == config.defence.architecture.trained_by()
        known = {field.name for part in (config.defence, config.training) for field in fields(part)}
        assert config.defence.architecture.inactive <= known


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_convnet_normalises_as_asked(norm) -> None:
    module = ARCHITECTURES.build({"kind": "convnet", "width": 4, "norm": norm}).build(
        (3, 32, 32), 10
    )
    found = {type(layer).__name__ for layer in module.modules()}
    assert ("BatchNorm2d" in found) == (norm == "batch")
    assert ("GroupNorm" in found) == (norm == "group")


def test_convnet_refuses_small_images() -> None:
    (mistake,) = ARCHITECTURES.build("convnet").fits((1, 4, 4))
    assert "needs images of at least 8 x 8 pixels, these have 4 x 4" in str(mistake)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "pooled"),
    [((3, 32, 32), 3, 1, "Identity"), ((1, 28, 28), 3, 1, "Identity"), ((3, 96, 96), 7, 2, "MaxPool2d")],
)  # fmt: skip
def test_resnet18_has_the_stem_of_its_images(shape, kernel, stride, pooled) -> None:
    network = ARCHITECTURES.build("resnet18").build(shape, 10)
    assert network.conv1.kernel_size == (kernel, kernel) and network.conv1.stride == (
        stride,
        stride,
    )
    assert network.conv1.in_channels == shape[0] and type(network.maxpool).__name__ == pooled
    sizes = []
    network.layer4.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert network(torch.zeros(2, *shape)).shape == (2, 10)
    assert sizes == [(512, *(-(-side // (8 if stride == 1 else 32)) for side in shape[1:]))]
    count = sum(p.numel() for p in network.parameters())
    assert count == 11_689_512 - 513_000 + 5_130 - 64 * 3 * 49 + 64 * shape[0] * kernel**2


def test_resnet18_refuses_small_images() -> None:
    (mistake,) = ARCHITECTURES.build("resnet18").fits((1, 8, 8))
    assert "needs images of at least 16 x 16 pixels, these have 8 x 8" in str(mistake)
