"""Packs: equal shapes together, evenly filled."""

import numpy as np
import pytest
from trials import trial

from backdoor.config import Training
from backdoor.engines import pack_key
from sweeps.packs.pack import Pack, PackSettings, evenly, make_packs

SETTINGS = PackSettings((trial().attack.measure(),), curve_every=2, cpu=1)


def test_what_may_share_a_pack() -> None:
    members = [
        trial(seed=1),
        trial(rate=0),
        trial(trigger="blend"),
        trial(weight_decay=0.1),
        trial(learning_rate=1),
    ]
    assert {pack_key(t) for t in members} == {pack_key(trial())}
    others = [trial("linear"), trial(epochs=3), trial(training=Training(batch_size=8)),
              trial(regularizer="logit_squeezing"), trial({"kind": "mlp", "width": 8})]  # fmt: skip
    assert len({pack_key(t) for t in [trial(), *others]}) == 6
    strengths = [trial(regularizer={"kind": "logit_squeezing", "strength": s}) for s in (0.1, 0.2)]
    assert pack_key(strengths[0]) == pack_key(strengths[1])


def test_every_trial_is_in_exactly_one_pack() -> None:
    trials = [
        trial(a, seed=s, rate=r)
        for a in ("mlp", "ridge", "convnet")
        for s in range(30)
        for r in (0, 0.01, 0.03)
    ]
    packs = make_packs([*trials, *trials], SETTINGS)
    ids = [t.trial_id for pack in packs for t in pack.trials]
    assert sorted(ids) == sorted({t.trial_id for t in trials})
    for pack in packs:
        assert len({pack_key(t) for t in pack.trials}) == 1
    assert {len(pack.trials) for pack in packs} == {1, 45, 90}


def test_solved_learners_are_packed_by_whole_training_sets(monkeypatch) -> None:
    from backdoor.engines.convex import Convex

    monkeypatch.setattr(Convex, "max_pack", 16)
    path = [trial("ridge", seed=s, rate=r, weight_decay=d)
            for s in range(3) for r in (0.01, 0.03, 0.1) for d in np.logspace(-3, 0, 7)]  # fmt: skip
    sizes = [len(pack.trials) for pack in make_packs(path, SETTINGS)]
    assert sizes == [14, 14, 14, 14, 7]
    long = [trial("ridge", rate=0.03, weight_decay=d) for d in np.logspace(-3, 0, 40)]
    assert [len(pack.trials) for pack in make_packs(long, SETTINGS)] == [13, 14, 13]
    for packs in (make_packs(path, SETTINGS), make_packs(long, SETTINGS)):
        assert all(len(pack.trials) <= 16 for pack in packs)


def test_kernels_of_any_width_share_a_pack() -> None:
    machines = [
        trial({"kind": "rbf_svm", "gamma": g}, weight_decay=0.1) for g in (0.01, 0.1, "scale")
    ]
    assert len(make_packs(machines, SETTINGS)) == 1


@pytest.mark.parametrize(("count", "largest"), [(1, 64), (64, 64), (65, 64), (252, 64), (7, 3)])
def test_evenly(count, largest) -> None:
    sizes = [len(chunk) for chunk in evenly(list(range(count)), largest)]
    assert sum(sizes) == count and max(sizes) <= largest and max(sizes) - min(sizes) <= 1


def test_a_pack_as_two() -> None:
    pack = Pack((trial(), trial(rate=0, weight_decay=0.1), trial(seed=3)), SETTINGS)
    first, second = pack.halves()
    assert first.trials + second.trials == pack.trials
    assert (len(first.trials), len(second.trials)) == (1, 2)
