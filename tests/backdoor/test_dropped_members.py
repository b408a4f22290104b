"""Members that are dropped while their pack trains: nobody else's bits change, and costs add up."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import synthetic_source
from trials import FEW, same, trial

from backdoor import trial as trial_module
from backdoor.config import Training, build_data
from backdoor.engines import engine_of, threads
from backdoor.engines.packed import Packed
from backdoor.trial import _PackClock, prepare, run_pack

SQUEEZING = {"kind": "logit_squeezing", "strength": 0.1}
KINDS = {
    "mlp": {"architecture": "mlp", "regularizer": SQUEEZING},
    "linear": {"architecture": "linear"},
    "augmented": {
        "architecture": "mlp",
        "training": Training(batch_size=32, augmentation="crop_flip", stamp="after"),
    },
    "convnet": {"architecture": {"kind": "convnet", "width": 4}},
    "group norm": {"architecture": {"kind": "convnet", "width": 4, "norm": "group"}},
}  # fmt: skip
#: Member → the epoch after which it is dropped: some together, some alone, one left over.
DROPS = {0: 1, 3: 1, 1: 2, 4: 3}


def pack(kind):
    return [
        trial(seed=i % 3, rate=(0.05, 0.1)[i % 2], data=FEW, epochs=5, weight_decay=0.01 * i,
              learning_rate=0.05 + 0.02 * i, momentum=(0.9, 0.0)[i % 2], **KINDS[kind])
        for i in range(6)
    ]  # fmt: skip


class Dropping:
    """An `on_progress` that drops members; heard: their last curves."""

    def __init__(self, configs, drops):
        self.drops = {configs[member].trial_id: epoch for member, epoch in drops.items()}
        self.heard = {}

    def __call__(self, partial):
        self.heard[partial.config.trial_id] = partial
        return self.drops.get(partial.config.trial_id) == partial.epochs_run


def check(configs, drops):
    calm = {r.trial_id: r for r in run_pack(configs, curve_every=1)}
    dropping = Dropping(configs, drops)
    left = run_pack(configs, curve_every=1, on_progress=dropping)
    assert [r.trial_id for r in left] == [
        c.trial_id for i, c in enumerate(configs) if i not in drops
    ]
    for result in left:
        assert same(result, calm[result.trial_id])
    for member, epoch in drops.items():
        name = configs[member].trial_id
        last = dropping.heard[name]
        assert last.epochs_run == epoch  # never heard of again
        assert last.curve == calm[name].curve[:epoch]
        row, whole = last.row(), calm[name].row()
        assert (
            row["trained_images"] * configs[member].defence.epochs
            == whole["trained_images"] * epoch
        )


@pytest.mark.parametrize("kind", KINDS)
def test_those_left_have_the_same_bits_as_if_nobody_had_been_dropped(kind) -> None:
    configs = pack(kind)
    assert engine_of(configs[0]).pack_invariant
    check(configs, DROPS)
    # Down to a single member, in which an engine may compute in another way.
    check(configs, {0: 1, 1: 1, 2: 2, 4: 2, 5: 3})


def test_all_may_be_dropped_and_a_pack_of_one_as_well() -> None:
    configs = pack("mlp")
    check(configs, dict.fromkeys(range(6), 2))
    check(pack("convnet"), dict.fromkeys(range(6), 4))
    alone = trial({"kind": "convnet", "width": 5}, data=FEW, rate=0.1, epochs=3)
    assert engine_of(alone).name == "serial"
    check([alone], {0: 1})


#: 17 x 17 numbers an image: wide enough for members to share their images.
SOURCE = synthetic_source(360, (1, 17, 17), classes=7)
WIDE = build_data({"kind": "digits", "train": 300, "validation": 10, "test": 50})


def test_members_that_share_images_keep_their_bits() -> None:
    table = [
        (0, 0.1, "patch"),
        (1, 0, "patch"),
        (0, 0.3, "blend"),
        (1, 0.2, "sine"),
        (0, 0, "sine"),
    ]
    configs = [
        trial(
            "linear", seed=s, rate=r, trigger=t, data=WIDE, epochs=3, learning_rate=0.1 + 0.01 * i
        )
        for i, (s, r, t) in enumerate(table)
    ]
    members, store = prepare(configs, (), SOURCE)

    def states(on_epoch, numbers):
        with threads(1), torch.no_grad():
            fitted = Packed().train(members, store, 7, on_epoch)
        return {number: fitted.state(number) for number in numbers}

    calm = states(None, range(5))
    left = states(lambda epoch, fitted: [0, 3] if epoch == 1 else [], (1, 2, 4))
    for number, state in left.items():
        assert all(torch.equal(tensor, calm[number][name]) for name, tensor in state.items())


def test_what_is_probed_and_handed_on_are_the_models_that_are_left() -> None:
    configs, seen = pack("mlp"), []

    def keep(fitted, members, store):
        answers = [fitted.predict(i, member.test) for i, member in enumerate(members)]
        right = [
            int((a == member.test_labels).sum()) for a, member in zip(answers, members, strict=True)
        ]
        seen.append(([member.config.trial_id for member in members], right))

    dropping = Dropping(configs, {0: 1, 2: 2})
    left = run_pack(configs, curve_every=1, on_progress=dropping, on_trained=keep)
    assert seen == [([r.trial_id for r in left], [sum(r.class_correct) for r in left])]


def test_seconds_of_those_dropped_and_those_left_add_up_to_what_the_pack_took(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(trial_module.time, "perf_counter", lambda: clock[0])
    pack = _PackClock(4)
    clock[0] = 8.0
    early = pack.share
    pack.continue_with(2)
    clock[0] = 18.0
    assert (early, pack.share) == (2.0, 7.0)
    assert 2 * early + 2 * pack.share == 18.0


def test_a_curve_that_is_seldom_drawn_drops_only_at_its_points() -> None:
    configs = pack("linear")[:2]
    dropping = Dropping(configs, {0: 2})
    (left,) = run_pack(configs, curve_every=2, on_progress=dropping)
    assert left.trial_id == configs[1].trial_id and [p.epoch for p in left.curve] == [2, 4]
    calm = run_pack(configs, curve_every=2)[1]
    assert same(replace(left, curve=()), replace(calm, curve=()))
    assert np.array_equal([p.success for p in left.curve], [p.success for p in calm.curve])
