"""Named panels: what a released one is for ever, what a spec may change, and what it says."""

import pytest
import torch
from small import begin, results, small_spec, sweep

from backdoor.errors import UserError
from backdoor.settings.digest import digest
from backdoor.settings.registry import TRIGGERS
from sweeps.cli import FINE
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.panels import LABELS, bundled_panels, named_panel
from sweeps.panels.attacks import panel_attacks
from sweeps.region.labels import attack_label
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.results.create import reopen
from sweeps.runners.serial import SerialRunner
from sweeps.spec import load_spec

#: Attack ids of every released panel. A line here is never edited: a new panel adds one.
GOLDEN = {
    "standard-1": [
        "fe7a4df42db91552",
        "7c3216f6202de1f4",
        "ea0a96a3bd2159b1",
        "d333a6da8d329831",
        "c7b4fe216d379f88",
        "1ab626b7971733e5",
    ],
}
#: standard-1 as somebody writes it by hand.
BY_HAND = {
    "trigger": [
        {"kind": "patch", "size": 3},
        {"kind": "blend", "opacity": 0.2},
        {"kind": "sine", "label_mode": "clean_label", "poison_rate": [0, 0.02, 0.05]},
    ],
    "poison_rate": [0, 0.003, 0.01],
}


@pytest.mark.parametrize("name", [*bundled_panels()])
def test_a_released_panel_never_changes(name) -> None:
    spec = small_spec(attack=name)
    assert [digest("attack", a.identity()) for a in spec.panel] == GOLDEN[name]
    assert spec.baseline and panel_attacks(name) == spec.panel


def test_every_released_panel_is_still_there() -> None:
    assert set(GOLDEN) == set(bundled_panels()) == set(LABELS)


@pytest.mark.parametrize("name", [*bundled_panels()])
def test_listed_labels_are_those_of_the_attacks(name) -> None:
    assert LABELS[name] == tuple(attack_label(attack) for attack in panel_attacks(name))


@pytest.mark.parametrize("attack", ["standard-1", {"panel": "standard-1"}])
def test_trials_are_those_of_a_section_written_by_hand(attack) -> None:
    from sweeps.search import make_search

    named, hand = ([t.trial_id for t in make_search(small_spec(attack=a)).ask(10_000)] for a in (attack, BY_HAND))  # fmt: skip
    assert named == hand and len(named) == len(set(named)) == 4 * 7 * 2


def test_rates_and_target_of_the_specs_own_hold_for_every_member() -> None:
    spec = small_spec(attack={"panel": "standard-1", "poison_rate": [0.02, 0.04], "target": 3})
    assert {(a.trigger.kind, a.label_mode) for a in spec.panel} == {
        ("patch", "all_to_one"), ("blend", "all_to_one"), ("sine", "clean_label")
    }  # fmt: skip
    assert [a.poison_rate for a in spec.panel] == [0.02, 0.04] * 3
    assert {a.target for a in spec.panel} == {3} and not spec.baseline
    assert small_spec(attack="standard-1").panel == panel_attacks("standard-1")  # left as it was


MISTAKES = {
    "unknown": ("standrad-1", ["attack: must be a mapping of factors, or the name of a panel, but got 'standrad-1'. Did you mean 'standard-1'?"]),
    "unknown in a mapping": ({"panel": "standrd-1"}, ["attack.panel: must be the name of a panel, but got 'standrd-1'. Did you mean 'standard-1'?"]),
    "two panels": ({"panel": ["standard-1", "standard-1"]}, ["attack.panel: must be the name of a panel, but got ['standard-1', 'standard-1']"]),
    "other triggers": ({"panel": "standard-1", "trigger": "patch", "label_mode": "all_to_all"},
                       ["attack.trigger: is fixed by the panel standard-1, beside which only `poison_rate` and `target` may be set, but got 'patch'. Remove it, or remove `panel`",
                        "attack.label_mode: is fixed by the panel standard-1"]),
    "wrong factor": ({"panel": "standard-1", "targett": 3}, ["attack.targett: is not a factor of `attack`, but got 3. Did you mean 'target'?"]),
    "defender's factor": ({"panel": "standard-1", "epochs": 3}, ["attack.epochs: does not belong under `attack`"]),
    "more than the class has": ({"panel": "standard-1", "poison_rate": 0.2}, ["attack.poison_rate: must not exceed the 100 of 1100 training images that are of class 0"]),
    "neither": ({"poison_rate": 0.2}, ["attack.trigger: must be given, but got None. Known: " + ", ".join(TRIGGERS.kinds()) + ". Or name a panel: `attack: standard-1`."]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name) -> None:
    attack, texts = MISTAKES[name]
    with pytest.raises(UserError) as caught:
        small_spec(attack=attack)
    assert len(caught.value.mistakes) == len(texts), caught.value
    for text, mistake in zip(texts, caught.value.mistakes, strict=True):
        assert str(mistake).startswith(text)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", [*bundled_panels()])
def test_every_member_marks_images_of_every_usual_size(name, shape) -> None:
    images = torch.randint(0, 256, (4, *shape), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    for trigger in {attack.trigger for attack in panel_attacks(name)}:
        assert not list(trigger.fits(shape))
        stamped = trigger.for_seed(0).stamp(images, torch.arange(4), torch.zeros(4).long())
        assert stamped.shape == images.shape
        assert all((a != b).any() for a, b in zip(stamped, images, strict=True))


def test_named_panel_is_read_from_the_section_alone() -> None:
    assert named_panel({"trigger": "patch"}) is None and named_panel(None) is None
    assert str(named_panel("standard-1")) == "standard-1"
    changed = named_panel({"panel": "standard-1", "target": 3, "poison_rate": 0.1})
    assert str(changed) == "standard-1 with poison_rate and target of the spec's own"


# --- the command -----------------------------------------------------------------------------


def test_list_shows_panels_with_their_attacks(capsys) -> None:
    assert main(["list", "panels"]) == FINE
    out = capsys.readouterr().out
    assert "\n  standard-1         Three published attacks" in out
    for line in ("patch at 0.3 % to class 0", "sine at 5 % to class 0, labels kept"):
        assert f"\n{' ' * 23}{line}\n" in out


def test_check_says_which_panel_and_what_it_stands_for(capsys) -> None:
    assert main(["check", "digits", "--set", "attack=standard-1", "--set", "attack.target=3"]) == FINE  # fmt: skip
    out = capsys.readouterr().out
    assert "  attack panel standard-1 with target of the spec's own:\n    patch at 0.3 % to class 3\n" in out  # fmt: skip
    assert "36 defence points x 6 attacks and the clean baseline x 3 seeds" in out
    assert main(["check", "digits"]) == FINE
    assert "attack panel" not in capsys.readouterr().out


def test_the_spec_that_init_writes_offers_it(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    assert main(["init", str(file)]) == FINE
    offered = [line for line in file.read_text().splitlines() if "standard-1" in line]
    assert "`attack: standard-1`" in offered[0] and "{panel: standard-1, poison_rate:" in offered[1]
    assert load_spec(file, ["attack={panel: standard-1, poison_rate: [0, 0.01]}"]).baseline


def test_a_results_folder_keeps_the_panels_name_and_is_resumed_with_the_same_trials(tmp_path) -> None:  # fmt: skip
    spec = small_spec(
        attack={"panel": "standard-1", "target": 1},
        defence={"architecture": "ridge", "weight_decay": [0.01, 1]},
    )
    paths = begin(tmp_path / "r", spec)
    assert sweep(paths, spec, SerialRunner()).finished == 2 * 7 * 2
    assert "attack:\n  panel: standard-1\n  target: 1\n" in paths.spec.read_text()
    _, again = reopen(paths.root)
    assert again.panel == spec.panel
    before = results(paths)
    assert sweep(paths, again, SerialRunner(None)).finished == len(before)  # nothing is trained
    region = region_of(criteria_of(again), Ledger(paths.ledger))
    assert [entry["attack_id"] for entry in region["panel"]] == [
        digest("attack", a.identity()) for a in spec.panel
    ]
    assert {p["by_means"] for p in region["points"]} <= {"IN", "OUT"}
