"""The contract of an architecture, run by every kind."""

import pytest
import torch

from backdoor.config import TrialConfig, build_attack, build_defence
from backdoor.engines import Engine, engine_of, init_state
from backdoor.registry import ARCHITECTURES

KINDS = list(ARCHITECTURES.kinds())


@pytest.mark.parametrize("kind", KINDS)
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

    def test_its_identity_builds_it_again(self, kind) -> None:
        architecture = ARCHITECTURES.build(kind)
        assert ARCHITECTURES.build(architecture.identity()) == architecture

    def test_it_has_an_engine_and_only_real_factors_are_inactive(self, kind) -> None:
        from trials import trial

        config: TrialConfig = trial(kind)
        engine: Engine = engine_of(config)
        assert engine.name == config.defence.architecture.engine
        known = set(build_defence({"architecture": kind}).identity()) | set(
            config.training.identity()
        )
        assert config.defence.architecture.inactive <= known
        assert build_attack({"trigger": "patch"}).identity()


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
