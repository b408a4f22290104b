"""Weights inside the files of training scripts: entries, prefixes, and what lies beside them."""

import argparse
import re

import pytest
import safetensors.torch
import torch
from torch import nn

from backdoor.architectures.fitted import fitted_weights
from backdoor.architectures.pretrained import read_weights
from backdoor.settings.registry import ARCHITECTURES
from backdoor.settings.user_file import UserFile

SHAPE = (1, 16, 16)
NET = {"kind": "preact_resnet18", "width": 2}
IMAGES = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(3))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return ARCHITECTURES.build(NET).build(SHAPE, 5).eval()


GIVEN, OTHER = network(1), network(2)
STATE, OTHER_STATE = GIVEN.state_dict(), OTHER.state_dict()


def behind(prefix, state=STATE):
    return {prefix + name: value for name, value in state.items()}


def compiled(module):
    return torch.compile(module, backend="eager").state_dict()


def inner_wrapped(word):
    return {name.replace("stage2.", f"stage2.{word}."): value for name, value in STATE.items()}


#: As `torch.optim` has it after a step: names, numbers and tensors.
OPTIMIZER = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}, "lr": 0.1}
BESIDE = {"epoch": 3, "optimizer": OPTIMIZER, "args": {"lr": 0.1}, "best": torch.tensor(0.9)}
METRICS = {"criterion.weight": torch.ones(5), "accuracy.total": torch.tensor(9)}
AVERAGED = torch.optim.swa_utils.AveragedModel(GIVEN).state_dict()

READ = {
    "compile": compiled(GIVEN),
    "parallel": nn.DataParallel(GIVEN).state_dict(),
    "parallel of compile": nn.DataParallel(torch.compile(GIVEN, backend="eager")).state_dict(),
    "compile of parallel": compiled(nn.DataParallel(GIVEN)),
    "a compiled part": inner_wrapped("_orig_mod"),
    "a parallel part": inner_wrapped("module"),
    "averaged": AVERAGED,
    "lightning": {"state_dict": behind("model.") | METRICS, "pytorch-lightning_version": "2.5", **BESIDE},
    "lightning, compiled": {"state_dict": behind("net._orig_mod.") | METRICS, "callbacks": {}},
    "net": {"net": STATE, "acc": 95.1, "epoch": 3},
    "model": {"model": STATE, **BESIDE},
    "state_dict": {"state_dict": behind("module."), **BESIDE},
    "model_state_dict": {"model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER},
    "any entry": {"weights_of_ours": STATE},
    "nested": {"checkpoint": {"model": {"state_dict": behind("module.")}}, **BESIDE},
    "beside in the same entry": STATE | {"epoch": 3, "arch": "resnet"},
    "running average": {"state_dict": STATE, "state_dict_ema": OTHER_STATE, **BESIDE},
    "running average behind a prefix": {"state_dict": behind("net.") | behind("ema_net.module.", OTHER_STATE)},
    "running average within": STATE | behind("ema.", OTHER_STATE),
    "only a running average": {"ema": STATE},
    "twice the same": {"model": STATE, "best": {name: value.clone() for name, value in STATE.items()}},
    "of another network beside": {"generator": nn.Linear(3, 3).state_dict(), "classifier": STATE},
    "of other classes beside": {"teacher": behind("model.") | {"model.more": torch.ones(1)}, "net": STATE},
}  # fmt: skip


def fitted(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    tables = read_weights(UserFile.of(str(tmp_path / "w.pt")), "pretrained")
    return fitted_weights(tables, network(9), "fc")


@pytest.mark.parametrize("name", READ)
def test_a_network_from_a_checkpoint_says_what_the_saved_one_said(tmp_path, name) -> None:
    torch.save(READ[name], tmp_path / "w.pt")
    kind = ARCHITECTURES.build({**NET, "pretrained": str(tmp_path / "w.pt")})
    assert not list(kind.fits(SHAPE))
    started = network(9)
    assert not torch.equal(started(IMAGES), GIVEN(IMAGES))
    kind.start(started)
    assert torch.equal(started(IMAGES), GIVEN(IMAGES))


def test_a_prefix_in_safetensors(tmp_path) -> None:
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(behind("model.") | METRICS, file)
    found = fitted_weights(read_weights(UserFile.of(str(file)), "pretrained"), network(9), "fc")
    assert all(torch.equal(found.state[name], STATE[name]) for name in STATE)


def test_where_they_were_and_what_was_left_out_is_known(tmp_path) -> None:
    found = fitted(READ["lightning"], tmp_path)
    assert found.place == "state_dict: model."
    assert set(found.left_out) == {
        "best", "state_dict: criterion.weight", "state_dict: accuracy.total",
        "optimizer.state.0: step", "optimizer.state.0: exp_avg",
    }  # fmt: skip
    assert fitted(STATE, tmp_path).place == "the file itself"
    assert not fitted(STATE, tmp_path).left_out


def test_a_new_head_in_a_checkpoint_for_other_classes(tmp_path) -> None:
    head = {"fc.weight": torch.ones(9, 16), "fc.bias": torch.ones(9)}
    found = fitted({"state_dict": behind("module.", STATE | head)}, tmp_path)
    assert found.state.keys() == STATE.keys() - head.keys()


def mistake(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    (found,) = ARCHITECTURES.build({**NET, "pretrained": str(tmp_path / "w.pt")}).fits(SHAPE)
    return found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": STATE, "b": OTHER_STATE}, "but it holds two that differ, `a` and `b`"),
        ({"state_dict": behind("query.") | behind("key.", OTHER_STATE)}, "holds two that differ, `state_dict: key.` and `state_dict: query.`"),
        ({"ema": STATE, "swa": OTHER_STATE}, "holds two that differ, `ema` and `swa`"),
        (STATE | behind("_orig_mod.", OTHER_STATE), "holds two that differ, `the file itself` and `_orig_mod.`"),
        ({"net": behind("model.") | {"model.extra": torch.ones(1)}, **BESIDE}, "but it has besides extra"),
        ({"net": {k: v for k, v in behind("module.").items() if "norm.bias" not in k}}, "but it lacks norm.bias"),
        ({"net": behind("a.", STATE | {"stem.weight": torch.ones(2, 3, 3, 3)})}, "differs in shape: stem.weight is (2, 3, 3, 3) and not (2, 1, 3, 3)"),
        ({"net": {"x": torch.ones(1)}}, "has besides x"),
    ],
)  # fmt: skip
def test_what_does_not_fit_or_fits_twice_is_refused(tmp_path, content, said) -> None:
    found = mistake(content, tmp_path)
    assert found.place == "pretrained" and said in str(found)
    assert ("Save the one that you mean" in found.remedy) == ("two that differ" in said)


class AttributeDict(dict):
    """As Lightning's, in which it keeps hyperparameters."""


@pytest.mark.parametrize(
    ("content", "objects"),
    [
        ({"state_dict": behind("model."), "hyper_parameters": AttributeDict(lr=0.1)}, "test_pretrained_checkpoints.AttributeDict"),
        ({"net": STATE, "args": argparse.Namespace(lr=0.1)}, "argparse.Namespace"),
        ({"model_state_dict": STATE, "loss": nn.CrossEntropyLoss()}, "torch.nn.modules.loss.CrossEntropyLoss"),
        (nn.DataParallel(GIVEN), "torch.nn.modules"),
    ],
    ids=["lightning", "arguments", "loss", "a whole network"],
)  # fmt: skip
def test_other_objects_are_refused_with_a_remedy_that_works(tmp_path, content, objects) -> None:  # fmt: skip
    found = mistake(content, tmp_path)
    assert objects in str(found.value) and "must hold weights and no other objects" in found.rule
    (code,) = re.findall(r"`(.*)`", found.remedy)
    exec(code)
    kind = ARCHITECTURES.build({**NET, "pretrained": str(tmp_path / "w-weights.pt")})
    started = network(9)
    kind.start(started)
    assert torch.equal(started(IMAGES), GIVEN(IMAGES))


class Trap:
    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def test_objects_in_a_file_are_never_made(tmp_path) -> None:
    assert "builtins.setattr" in str(mistake({"net": STATE, "trap": Trap()}, tmp_path))
    assert not Trap.sprung
