"""Packs of narrow convolutional networks against single ones, and alone against packed."""

import pytest
import torch
from trials import DIGITS, FEW, same, trial

from backdoor.config import Training
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, grouped, threads
from backdoor.engines.grouped import Grouped, group_members
from backdoor.engines.serial import Serial
from backdoor.trial import prepare, run_pack


def narrow(i, norm="none", width=4, **given):
    """The i-th of a row of trials that differ in all that a pack may differ in."""
    return trial(
        {"kind": "convnet", "width": width, "norm": norm}, seed=i % 5, rate=(0, 0.05, 0.1)[i % 3],
        weight_decay=0.01 * (i % 4), learning_rate=0.05 + 0.01 * i, momentum=(0.9, 0.5)[i % 2],
        **{"epochs": 2, "data": FEW, **given},
    )  # fmt: skip


def states(configs, engine, data=FEW):
    members, store = prepare(configs, (), load_source(data))
    with threads(1):
        fitted = engine.train(members, store, 10, None)
    return [fitted.state(member) for member in range(len(configs))]


def test_channels_and_normalization_decide_the_engine() -> None:
    assert engine_of(narrow(0, width=4)).name == "grouped"
    assert engine_of(narrow(0, width=4, norm="group")).name == "grouped"
    assert engine_of(narrow(0, width=5)).name == "serial"
    assert engine_of(narrow(0, width=4, norm="batch")).name == "serial"


@pytest.mark.parametrize("norm", ["none", "group"])
@pytest.mark.parametrize("width", [1, 4])
def test_a_member_has_the_same_bits_in_every_pack(norm, width) -> None:
    assert Grouped.pack_invariant
    configs = [narrow(i, norm, width, epochs=1) for i in range(8)]
    alone = [states([config], Grouped())[0] for config in configs]
    for chosen in (range(8), range(7, -1, -1), [2, 5], [6, 1, 4]):
        packed = states([configs[i] for i in chosen], Grouped())
        for index, state in zip(chosen, packed, strict=True):
            for name in state:
                assert torch.equal(state[name], alone[index][name]), (list(chosen), index, name)


def test_packs_are_cut_into_groups_that_fit_into_a_cache(monkeypatch) -> None:
    """As large images are; what a member's weights are does not depend on the cut."""
    configs = [narrow(i, epochs=1) for i in range(7)]
    whole = states(configs, Grouped())
    monkeypatch.setattr(grouped, "CACHED", 4 * 64 * 8 * 8 * 3)
    for ours, theirs in zip(states(configs, Grouped()), whole, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("members", range(1, 17))
def test_no_group_is_left_with_one_member_where_there_are_two(members) -> None:
    for largest in (2, 3, 5):
        groups = group_members(members, largest)
        assert [member for group in groups for member in group] == list(range(members))
        assert all(min(2, members) <= len(group) <= largest + 1 for group in groups)


@pytest.mark.parametrize("norm", ["none", "group"])
@pytest.mark.parametrize("regularizer", ["none", {"kind": "logit_squeezing", "strength": 0.1}])
def test_weights_are_those_of_single_networks(norm, regularizer) -> None:
    configs = [narrow(i, norm, regularizer=regularizer, epochs=1) for i in range(3)]
    for ours, theirs in zip(states(configs, Grouped()), states(configs, Serial()), strict=True):
        assert list(ours) == list(theirs)
        for name in theirs:
            assert ours[name].dtype == theirs[name].dtype
            assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("stamp", ["before", "after"])
def test_augmented_images_are_those_of_single_networks(stamp) -> None:
    training = Training(augmentation="crop_flip", stamp=stamp)
    configs = [narrow(i, training=training, epochs=1) for i in range(3)]
    for ours, theirs in zip(states(configs, Grouped()), states(configs, Serial()), strict=True):
        for name in theirs:
            assert torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("norm", ["none", "group"])
def test_results_with_curves_are_the_same_packed_and_alone(norm) -> None:
    configs = [narrow(i, norm, data=DIGITS, epochs=4, regularizer="none") for i in range(3)]
    measures = [trial().attack]
    together = run_pack(configs, measures, curve_every=2)
    for config, row in zip(configs, together, strict=True):
        assert same(run_pack([config], measures, curve_every=2)[0], row)
        assert [point.epoch for point in row.curve] == [2, 4]
    assert max(sum(row.class_correct) for row in together) > 150
