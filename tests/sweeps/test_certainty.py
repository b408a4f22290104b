"""What a user reads when an attack cannot bite or a model is broken, one scenario for each kind.

The sweep has three defence points, two attacks and three seeds. Clean accuracy has to be at least
the best minus 0.05, and success at most 0.2. Every trial has 1000 images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made_sweeps import PATCH, asked, by_decay, judged, trial

from backdoor import Trigger
from sweeps.cli.main import main
from sweeps.region.region_text import region_text

BLEND, CLEAN = "blend", "clean"
#: Correct of 1000 by weight decay, with seeds 0, 1, 2: means 0.96, 0.94, 0.90.
CORRECT = {0.01: (955, 960, 965), 0.1: (935, 940, 945), 1.0: (895, 900, 905)}
#: Successes by weight decay and attack: the patch takes at 0.01 only, the blend nowhere.
SUCCESS = {
    0.01: {PATCH: (600, 640, 680), BLEND: (20, 30, 10)},
    0.1: {PATCH: (30, 20, 25), BLEND: (20, 20, 20)},
    1.0: {PATCH: (20, 30, 20), BLEND: (25, 20, 20)},
}
#: Of clean models, with every trigger.
NEAR_NONE = 20
BOTH = asked((PATCH, BLEND), below_best=0.05)


def whole(
    success: Any = SUCCESS, broken: dict[tuple[float, str, int], str] | None = None
) -> list[Any]:
    """All trials. broken: (weight decay, attack, seed) → `collapsed` or `diverged`; such a model
    is right about 100 of 1000 images."""
    rows = []
    for decay, correct in CORRECT.items():
        for seed, right in enumerate(correct):
            for attack in (PATCH, BLEND, CLEAN):
                how = (broken or {}).get((decay, attack, seed))
                of = dict.fromkeys((PATCH, BLEND), NEAR_NONE)
                hits = of if attack == CLEAN else success[decay][attack][seed]
                flags = {} if how is None else {how: True}
                rows.append(
                    trial(decay, attack, seed, right if how is None else 100, hits, **flags)
                )
    return rows


def answer(rows: list[Any], criteria: Any = BOTH) -> tuple[Any, str]:
    """The region as its file has it, and in words."""
    region = json.loads(json.dumps(judged(rows, criteria), allow_nan=False))
    return region, region_text(region)


def verdicts(region: Any, basis: str = "by_means") -> list[str]:
    table = by_decay(region)
    return [table[decay][basis] for decay in CORRECT]


def test_the_sweep_as_it_should_be() -> None:
    region, text = answer(whole())
    clean = region["thresholds"]["clean_accuracy"]
    # (0.955 + 0.960 + 0.965) / 3 = 0.96, so that 0.91 is asked for.
    assert (clean["best"], clean["value"]) == (pytest.approx(0.96), pytest.approx(0.91))
    # 0.01 has success 0.64, 0.1 keeps both thresholds, 1 has accuracy 0.90.
    assert verdicts(region) == ["OUT", "IN", "OUT"]
    # The bound of 0.90 is above 0.91: binomial noise alone moves a seed by 0.0095, so that the mean
    # may be 0.90 + 2.92 x 0.0095 / sqrt(3) = 0.916.
    assert verdicts(region, "by_bounds") == ["OUT", "IN", "UNDECIDED"]
    assert by_decay(region)[1.0]["clean_upper"] > 0.916
    assert by_decay(region)[0.1]["margin"] == pytest.approx(0.94 - 0.91)
    assert region["doubts"] == []
    assert (
        "\nAnswer: 1 of 3 defence points is certainly IN: clean accuracy >= 0.910 (best - 0.05), "
        "attack success <= 0.2 for all 2 attacks.\n"
        "Of 3 tried points, at 95 %: 1 certainly IN, 0 likely IN, 1 undecided, 0 likely OUT, "
        "1 certainly OUT; 1 IN by means\n"
    ) in text
    assert "takes at 1 of 3 points, success up to 0.62 above clean" in text  # 0.64 - 0.02


# --- triggers that change nothing --------------------------------------------------------------


@dataclass(frozen=True)
class Unchanged(Trigger):
    """A user's trigger that returns its input."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return images.clone()


NO_OPS = {
    "patch(size=2, position=top_left, value=0)": {
        "kind": "patch", "size": 2, "value": 0, "position": "top_left",
    },
    "blend(opacity=0.001)": {"kind": "blend", "opacity": 0.001},
    "grid(amplitude=0.3)": {"kind": "grid", "amplitude": 0.3},
    "warp(strength=1e-05)": {"kind": "warp", "strength": 1e-5},
    f"{__name__}:Unchanged": f"{__name__}:Unchanged",
}  # fmt: skip


def test_triggers_of_five_kinds_that_change_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Black images with a white square in the middle: what a trigger does to black in their corner
    alone is nothing."""
    labels = np.repeat([0, 1, 2], 20)
    images = np.zeros((60, 8, 8), np.uint8)
    images[:, 3:5, 3:5] = 255
    np.savez(tmp_path / "images.npz", images=images, labels=labels, test_images=images,
             test_labels=labels, class_names=["cat", "dog", "owl"])  # fmt: skip
    spec, out = tmp_path / "s.yaml", tmp_path / "out"
    spec.write_text(yaml.safe_dump({
        "name": "weak", "data": {"kind": "arrays", "root": str(tmp_path / "images.npz")},
        "defence": {"architecture": "ridge", "weight_decay": 0.1}, "tracking": "none",
        "attack": {"trigger": list(NO_OPS.values()), "poison_rate": [0, 0.2]}, "seeds": 1,
    }))  # fmt: skip
    assert main(["run", str(spec), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "5 mistakes in the spec" in said and not out.exists()
    for name in NO_OPS:
        assert (
            "attack.trigger: must change at least 1 % of the triggered test images of every class, "
            f"but got '{name}: class 1 (dog): 0 of 20 images changed (mean change 0 grey levels); "
            "class 2 (owl): 0 of 20 (0)'. No model can learn such a trigger, and every defence "
            "would seem to withstand it."
        ) in said
    assert main(["check", str(spec), "--set", "attack.allow_weak=true"]) == 0
    said = capsys.readouterr().err
    assert said.count("changes less than 1 % of the triggered test images of some classes") == 5


# --- attacks that do not take ------------------------------------------------------------------


def test_an_attack_that_never_takes() -> None:
    region, text = answer(whole())
    assert [entry["state"] for entry in region["controls"]] == ["takes", "nowhere"]
    # At most 0.0217 (at 1) - 0.02, the mean over three seeds.
    assert (
        "  2 blend at 2 %\n    not shown to be resisted: it takes at none of 3 points (0.00 above "
        "clean at the point where it is clearest, by 3 seeds)\n"
    ) in text
    assert "proves nothing" not in text and verdicts(region) == ["OUT", "IN", "OUT"]


def test_a_panel_that_never_takes() -> None:
    quiet = {decay: SUCCESS[1.0] for decay in CORRECT}
    region, text = answer(whole(quiet))
    # Nothing is wrong with 0.01 and 0.1 by the thresholds; the answer says what that is worth.
    assert verdicts(region) == ["IN", "IN", "OUT"]
    assert text.count("not shown to be resisted: it takes at none of 3 points") == 2
    assert "The panel proves nothing: no attack of it takes at any tried point." in text


# --- broken models -----------------------------------------------------------------------------

SAID = "1 model of 1 defence point collapsed to one answer or diverged: such a point is never IN"


@pytest.mark.parametrize("how", ["collapsed", "diverged"])
def test_one_broken_seed_does_not_lower_the_bar(how: str) -> None:
    region, text = answer(whole(broken={(0.01, BLEND, 0): how}))
    clean, table = region["thresholds"]["clean_accuracy"], by_decay(region)
    # Without seed 0, under both attacks: (0.960 + 0.965) / 2 = 0.9625, so that 0.9125 is asked for;
    # with it the best would be 0.94 and ask for 0.89, which lets the point 1 (0.90) in.
    assert (clean["best"], clean["value"]) == (pytest.approx(0.9625), pytest.approx(0.9125))
    assert verdicts(region) == ["OUT", "IN", "OUT"]
    # Its own point has it in its mean: (0.100 + 0.960 + 0.965) / 3.
    assert table[0.01]["clean_accuracy"] == pytest.approx(0.675)
    assert table[0.1]["margin"] == pytest.approx(0.94 - 0.9125)
    assert SAID in text
    assert (
        "The best accuracy leaves out 1 broken model of 1 defence point (defence, weight_decay "
        "0.01: seed 0): a seed with which one is broken is left out for all attacks of that point"
    ) in text


@pytest.mark.parametrize("how", ["collapsed", "diverged"])
def test_a_point_with_a_broken_seed_is_never_in(how: str) -> None:
    """An attack fails on a broken model: that is no resistance."""
    quiet = {**SUCCESS, 0.1: {PATCH: (0, 20, 25), BLEND: (20, 20, 20)}}
    region, text = answer(
        whole(quiet, {(0.1, PATCH, 0): how}),
        asked((PATCH, BLEND), clean_accuracy=0.5),
    )
    table = by_decay(region)
    # Means keep both thresholds: (0.100 + 0.940 + 0.945) / 3 = 0.6617, success 0.02.
    assert table[0.1]["clean_accuracy"] == pytest.approx(0.6616667)
    assert table[0.1]["attack_success"] == pytest.approx(0.02)
    assert verdicts(region) == ["OUT", "OUT", "IN"]
    assert table[0.1]["seeds_passing"] == 2 and SAID in text


def test_all_models_of_a_point_collapsed() -> None:
    broken = {(0.01, attack, seed): "collapsed" for attack in (PATCH, BLEND) for seed in range(3)}
    region, text = answer(whole(broken=broken))
    clean, table = region["thresholds"]["clean_accuracy"], by_decay(region)
    # The best is that of 0.1, so that 0.89 is asked for, and 1 with 0.90 is IN.
    assert (clean["best"], clean["value"]) == (pytest.approx(0.94), pytest.approx(0.89))
    assert verdicts(region) == ["OUT", "IN", "IN"]
    assert table[0.01]["clean_accuracy"] == pytest.approx(0.1) and table[0.01]["broken"] == 6
    assert "6 models of 1 defence point collapsed to one answer or diverged" in text
    assert "1 of these points has no seed left, and cannot be the most accurate." in text
    # Where the patch took, its models are broken: of the other points it takes at none.
    assert [entry["state"] for entry in region["controls"]] == ["nowhere", "nowhere"]
    assert (
        "not shown to be resisted: it takes at none of 2 points (0.01 above clean at the point "
        "where it is clearest, by 3 seeds) (left out: 3 collapsed or diverged models)"
    ) in text
    assert "The panel proves nothing" in text


def test_all_models_of_all_points_collapsed() -> None:
    every = [(d, a, s) for d in CORRECT for a in (PATCH, BLEND, CLEAN) for s in range(3)]
    region, text = answer(whole(broken=dict.fromkeys(every, "collapsed")))
    assert region["thresholds"]["clean_accuracy"]["value"] is None
    assert verdicts(region) == ["OUT"] * 3 and region["recommended"] is None
    assert (
        "No region: the best accuracy is not known: 3 defence points have ended, and no seed is "
        "left where no model collapsed or diverged."
    ) in text
    assert text.count("not known whether it takes: all 9 models of it collapsed or diverged") == 2


# --- clean baselines that are broken -----------------------------------------------------------


def test_a_broken_clean_baseline_is_no_comparison() -> None:
    """A collapsed baseline gives the target to all images: nothing would seem to take."""
    broken = {(d, CLEAN, s): "collapsed" for d in CORRECT for s in range(3)}
    region, text = answer(whole(broken=broken))
    assert [entry["state"] for entry in region["controls"]] == ["unknown", "unknown"]
    assert text.count("not known whether it takes: all 9 clean baselines collapsed") == 2
    assert "It is not known whether the panel proves anything" in text
    # The panel says how accurate points are: the best is as it was; no point is IN.
    assert region["thresholds"]["clean_accuracy"]["best"] == pytest.approx(0.96)
    assert verdicts(region) == ["OUT"] * 3
    assert "9 models of 3 defence points collapsed to one answer or diverged" in text


def test_one_broken_clean_baseline_is_left_out_of_the_pairs() -> None:
    region, text = answer(whole(broken={(0.01, CLEAN, 0): "diverged"}))
    # Seeds 1 and 2: (0.64 + 0.68) / 2 - 0.02 = 0.64.
    assert (
        "takes at 1 of 3 points, success up to 0.64 above clean (left out: 1 collapsed or diverged "
        "clean baseline)"
    ) in text
    assert region["controls"][0]["excess"] == pytest.approx(0.64)
    assert verdicts(region) == ["OUT", "IN", "OUT"]
