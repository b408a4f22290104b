"""Weights to begin with: from files of two kinds, into networks with another head, as a file of
the user's."""

import pickle

import pytest
import safetensors.torch
import torch
from small import begin, results, small_spec, sweep
from trials import FEW, trial

from backdoor.config import build_defence, build_trial
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, init_state
from backdoor.errors import UserError
from backdoor.settings.registry import ARCHITECTURES, PROBES
from backdoor.trial import prepare
from sweeps.final_model.select import choose
from sweeps.ledger import Ledger
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import SweepFeed
from sweeps.search import make_search
from sweeps.verify.plan import Draw, Plan, VerificationSettings

SHAPE = (1, 16, 16)
NET = {"kind": "preact_resnet18", "width": 4}


@pytest.fixture
def state():
    torch.manual_seed(5)
    return ARCHITECTURES.build(NET).build(SHAPE, 7).state_dict()


@pytest.fixture
def weights(state, tmp_path):
    torch.save(state, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def started(file, shape=SHAPE, classes=7, **settings):
    config = trial({**NET, "pretrained": str(file), **settings})
    return init_state(config, shape, classes).state_dict()


@pytest.mark.parametrize("form", ["plain", "wrapped", "safetensors"])
def test_a_network_begins_with_what_the_file_holds(state, tmp_path, form) -> None:
    file = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        safetensors.torch.save_file(state, file)
    else:
        wrapped = {"epoch": torch.tensor(3), "state_dict": {f"module.{k}": v for k, v in state.items()}}  # fmt: skip
        torch.save(state if form == "plain" else wrapped, file)
    found = started(file)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_another_number_of_classes_gets_a_new_head(state, weights) -> None:
    found = started(weights, classes=3)
    assert found["fc.weight"].shape == (3, 32) and found["fc.bias"].shape == (3,)
    assert all(torch.equal(found[n], state[n]) for n in state if not n.startswith("fc."))
    assert list(trial(NET).defence.architecture.fits(SHAPE)) == []


def test_training_goes_on_from_them(weights) -> None:
    """At a learning rate of all but 0 they stay."""
    config = trial({**NET, "pretrained": str(weights)}, data=FEW, epochs=1, learning_rate=1e-12)
    members, store = prepare([config], (), load_source(FEW))
    trained = engine_of(config).train(members, store, 10, None).state(0)
    given = torch.load(weights, weights_only=True)
    assert torch.allclose(trained["stage2.0.conv1.weight"], given["stage2.0.conv1.weight"])
    assert not torch.allclose(trained["norm.running_mean"], given["norm.running_mean"])


def test_the_content_names_the_trial_and_not_the_place(weights, tmp_path) -> None:
    here = trial({**NET, "pretrained": str(weights)})
    moved = weights.rename(tmp_path / "other.pt")
    there = trial({**NET, "pretrained": str(moved)})
    assert here.trial_id == there.trial_id != trial(NET).trial_id
    said = here.canonical["defence"]["architecture"]["pretrained"]
    assert said.startswith("sha256:") and str(tmp_path) not in str(here.canonical)
    again = build_trial(here.canonical, None, {said: str(moved)})
    assert again == here and again.defence.architecture.pretrained.path == str(moved)
    assert "pretrained" not in trial("resnet18").canonical["defence"]["architecture"]


def test_a_saved_model_is_built_without_the_file(weights) -> None:
    identity = ARCHITECTURES.build({**NET, "pretrained": str(weights)}).identity()
    weights.unlink()
    assert ARCHITECTURES.build(identity).build(SHAPE, 4)(torch.zeros(2, *SHAPE)).shape == (2, 4)


def spec_with(file):
    architecture = [{**NET, "pretrained": str(file)}, NET]
    defence = {"architecture": architecture, "epochs": 1, "learning_rate": 0.01}
    return small_spec(
        data={"kind": "digits", "train": 40, "validation": 10, "test": 20},
        defence=defence, attack={"trigger": "patch", "poison_rate": [0.1]}, seeds=1,
    )  # fmt: skip


def test_a_sweep_takes_them_to_its_workers(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("backdoor.architectures.networks._misfit", lambda *a: None)  # 8 x 8
    torch.manual_seed(5)
    file = tmp_path / "w.pt"
    torch.save(ARCHITECTURES.build(NET).build((1, 8, 8), 10).state_dict(), file)
    spec = spec_with(file)

    def through_json(pack: Pack):
        (again,) = Chunk.from_json(Chunk((pack,)).to_json()).packs
        return train_pack(again)

    paths = begin(tmp_path / "out", spec)
    assert sweep(paths, spec, SerialRunner(through_json)).failed == 0
    assert len(results(paths)) == 2
    first = next(t for t in make_search(spec).ask(9) if t.defence.architecture.pretrained)
    assert spec.defence.locate(first.defence.active(), lambda a: build_defence(a).active())
    # What is built again from recorded values knows where the file lies: the final model's point,
    # a verification's draws, and trials that lack a study.
    values = first.defence.active()
    assert values["architecture"]["pretrained"].startswith("sha256:")
    plan = Plan({}, VerificationSettings(), (), (Draw("inside", values, None, (9,)),), "")
    probed = PackSettings(spec.measures, probes=(PROBES.build("persistence"),))
    feed = SweepFeed(make_search(spec), Ledger(paths.ledger), probed, files=spec.files)
    lacking = [trial for trial in feed.next_pack().trials if trial == first]
    final = choose(spec, paths, first.defence_id).trial
    for built in (final, *plan.trials(spec), *lacking):
        assert built.defence.architecture.pretrained.path == str(file)
    file.write_bytes(b"something else")
    chunk = Chunk.from_json(Chunk((Pack((first,), PackSettings(())),)).to_json())
    with pytest.raises(UserError, match="must hold what it held when the trials were named"):
        train_pack(chunk.packs[0])


def reshaped(state):
    return {**state, "stem.weight": torch.zeros(4, 3, 3, 3)}


def without(state):
    return {k: v for k, v in state.items() if k != "norm.bias"} | {"extra": torch.zeros(1)}


class Unknown:
    pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (reshaped, "pretrained: must hold the weights of preact_resnet18 for these images, but it differs in shape: stem.weight is (4, 3, 3, 3) and not (4, 1, 3, 3), but got"),
        (without, "but it lacks norm.bias; has besides extra"),
        (lambda state: torch.zeros(3), "pretrained: must be weights: a .safetensors file, or a state dict saved by torch"),
        (lambda state: {"net": Unknown()}, "must hold weights and no other objects, which could run any code when they are read, but got '"),
        (lambda state: {}, "(no mapping of tensors)"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused_before_anything_is_trained(state, tmp_path, content, said) -> None:  # fmt: skip
    torch.save(content(state), tmp_path / "w.pt")
    architecture = ARCHITECTURES.build({**NET, "pretrained": str(tmp_path / "w.pt")})
    (mistake,) = architecture.fits(SHAPE)
    assert said in str(mistake)
    with pytest.raises(UserError) as caught:
        architecture.start(architecture.build(SHAPE, 7))
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_are_no_weights(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"a": 1}))
    (mistake,) = ARCHITECTURES.build({**NET, "pretrained": str(tmp_path / name)}).fits(SHAPE)
    assert "a .safetensors file, or a state dict saved by torch" in str(mistake)


def test_auxiliary_classifiers_in_the_file_are_left_out(tmp_path) -> None:
    import torchvision

    with torch.device("meta"):
        theirs = torchvision.models.googlenet(num_classes=5, init_weights=False).state_dict()
    torch.save({k: torch.zeros(v.shape) for k, v in theirs.items()}, tmp_path / "w.pt")
    kind = {"kind": "torchvision/googlenet", "pretrained": str(tmp_path / "w.pt")}
    assert not list(ARCHITECTURES.build(kind).fits((3, 96, 96)))
    (mistake,) = ARCHITECTURES.build(kind).fits((3, 32, 32))
    assert "conv1.conv.weight is (64, 3, 7, 7) and not (64, 3, 3, 3)" in str(mistake)
    assert "Weights for ImageNet need colour images of more than 64 pixels a side." in str(mistake)
