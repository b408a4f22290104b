"""Identity of trials: what changes it, what does not, and that it never drifts."""

from dataclasses import replace

import pytest
from trials import DIGITS, PATCH, trial

from backdoor.config import Attack, Training, TrialConfig, build_attack, build_data, build_trial
from backdoor.errors import UserError


def test_golden_ids() -> None:
    assert trial().trial_id == "5b4407cfdf13a25f"
    assert trial("ridge", weight_decay=0.1).trial_id == "c52cc9bffcd2eebd"
    assert trial(rate=0).trial_id == "58be5ea08809391d"


def test_inactive_factors_are_no_part_of_it() -> None:
    assert trial("ridge", epochs=3, learning_rate=1).trial_id == trial("ridge").trial_id
    coarse = trial("ridge", training=Training(batch_size=7))
    assert coarse.trial_id == trial("ridge").trial_id
    assert trial("mlp", epochs=3).trial_id != trial("mlp").trial_id


def test_what_a_pattern_or_label_mode_does_not_use_is_no_part_of_it() -> None:
    assert (
        trial(trigger={**PATCH, "pattern": "solid", "pattern_seed": 9}).trial_id == trial().trial_id
    )
    swap = [
        build_attack({"trigger": PATCH, "label_mode": "all_to_all", "target": t}) for t in (0, 4)
    ]
    assert len({replace(trial(), attack=attack).trial_id for attack in swap}) == 1


def test_a_trigger_is_inactive_at_rate_zero() -> None:
    inert = TrialConfig(DIGITS, trial().defence, Attack(build_attack({"trigger": PATCH}).trigger, 0.0),
                        Training(), 0)  # fmt: skip
    assert inert.trial_id == trial(rate=0).trial_id
    assert inert.attack_id == "clean"


def test_numbers_are_normalised() -> None:
    assert trial(weight_decay=1).trial_id == trial(weight_decay=1.0).trial_id
    assert trial(weight_decay=0.1 + 0.2).trial_id == trial(weight_decay=0.3).trial_id
    assert trial(weight_decay=-0.0).trial_id == trial(weight_decay=0).trial_id


def test_defaults_are_filled_in() -> None:
    assert trial({"kind": "mlp", "width": 64}).trial_id == trial("mlp").trial_id


@pytest.mark.parametrize(
    "other",
    [
        trial(seed=1), trial(rate=0.01), trial("linear"), trial(weight_decay=0.1),
        trial(trigger="blend"), trial(trigger={"kind": "patch", "size": 2}),
        trial(regularizer="logit_squeezing"), trial(training=Training(batch_size=32)),
        trial(data=build_data({"kind": "digits", "classes": [0, 1]})),
        trial(trigger={"kind": "patch", "size": 1, "pattern": "checkerboard"}),
        replace(trial(), attack=replace(trial().attack, label_mode="all_to_all")),
        replace(trial(), attack=replace(trial().attack, label_mode="clean_label")),
    ],
)  # fmt: skip
def test_active_factors_are_part_of_it(other: TrialConfig) -> None:
    assert other.trial_id != trial().trial_id


def test_where_the_data_lie_is_no_part_of_it() -> None:
    here, there = (build_data({"kind": "parquet", "root": root}) for root in ("/a", "/b"))
    assert trial(data=here).trial_id == trial(data=there).trial_id


@pytest.mark.parametrize(
    "config",
    [
        trial(),
        trial("ridge"),
        trial(rate=0),
        trial(regularizer="logit_squeezing"),
        trial("convnet"),
        trial("rbf_svm", weight_decay=0.1),
        trial({"kind": "rbf_svm", "gamma": 0.5}, regularizer="label_smoothing"),
        trial(trigger={"kind": "patch", "pattern": "noise_per_class"}),
        trial(trigger={"kind": "patch", "pattern": "noise_per_class", "pattern_seed": 3}),
        replace(trial(), attack=build_attack({"trigger": "sine", "label_mode": "all_to_all"})),
        replace(trial(), attack=build_attack({"trigger": "sine", "label_mode": "clean_label"})),
    ],
)
def test_a_canonical_form_builds_the_same_trial(config: TrialConfig) -> None:
    again = build_trial(config.canonical)
    assert again.canonical == config.canonical
    assert again.trial_id == config.trial_id


def test_every_mistake_of_an_attack_at_once() -> None:
    with pytest.raises(UserError) as caught:
        build_attack({"trigger": {"kind": "patch", "size": 0, "valeu": 1}, "poison_rate": 2})
    places = {m.place for m in caught.value.mistakes}
    assert places == {"trigger.size", "trigger.valeu"}
    assert "Did you mean 'value'?" in str(caught.value)
