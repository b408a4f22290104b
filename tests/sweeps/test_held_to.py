"""A final model beside what the spec asks for: met, missed within chance, missed beyond it."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.cli.training import _verification
from sweeps.cli.training_text import _figures, tried_on
from sweeps.final_model.asked import Asked, ModelLimits
from sweeps.final_model.foreseen import _above, foreseen
from sweeps.final_model.held_to import held_to, missed
from sweeps.final_model.verdict_text import verdict_line
from sweeps.records.trial_row import CLEAN, TrialRow
from sweeps.statistics.prediction import chance_above, predict_one

ASKED = Asked("best - 0.05", 0.917, "0.1", 0.1, False, "the mean over seeds")
ABOVE = replace(ASKED, attack_rule="baseline + 0.1", above_baseline=True)
PANEL = {"attack_id": "a", "measure_id": "m", "label": "patch", "trigger": "patch", "goal": "to 0"}
WIDE = {"expected": 0.92, "lower": 0.9, "upper": 0.95}


def measured(success: int, total: int) -> Any:
    return SimpleNamespace(measure_id="m", success=success, total=total)


def result(correct: int, success: int, total: int = 100, **changes: Any) -> Any:
    known = {"class_correct": (correct,), "class_total": (1000,), "collapsed": False}
    known |= {"measurements": (measured(success, total),), "diverged": False}
    return SimpleNamespace(**(known | changes))


def row(attack: str, seed: int, success: int, correct: int = 930) -> TrialRow:
    return TrialRow(
        f"{attack}{seed}", "d", attack, seed, {}, "finished", class_correct=(correct,),
        class_total=(1000,), measurements=(measured(success, 100),),
    )  # fmt: skip


def chosen(asked: Asked = ASKED, attack: Any = PANEL, limits: Any = None, rows: Any = ()) -> Any:
    trial = SimpleNamespace(attack_id="a" if attack else CLEAN, seed=9)
    return SimpleNamespace(
        trial=trial, attack=attack, asked=asked, point=SimpleNamespace(limits=limits),
        rows=rows, words=lambda name: "patch to 0",
    )  # fmt: skip


def limits(low: float, high: float) -> ModelLimits:
    return ModelLimits(WIDE, {"a": {"expected": (low + high) / 2, "lower": low, "upper": high}})


@pytest.mark.parametrize(
    ("of", "known", "met", "beyond", "text"),
    [
        (result(910, 5), limits(0.01, 0.06), False, False, "accuracy 0.910, below the 0.917 (best - 0.05) asked for: within what one seed may do (0.900 to 0.950)"),
        (result(930, 5), limits(0.01, 0.06), True, False, "accuracy 0.930, above the 0.917 (best - 0.05) asked for; what one seed may do: 0.900 to 0.950"),
        (result(960, 5), limits(0.01, 0.06), True, False, "accuracy 0.960, above the 0.917 (best - 0.05) asked for; better than what one seed may do (0.900 to 0.950)"),
        (result(917, 5), None, True, False, "accuracy 0.917, at the 0.917 (best - 0.05) asked for"),
        (result(899, 5), limits(0.01, 0.06), False, True, "accuracy 0.899, below the 0.917 (best - 0.05) asked for: beyond what one seed may do (0.900 to 0.950)"),
    ],
)  # fmt: skip
def test_clean_accuracy(of, known, met, beyond, text) -> None:
    entry = held_to(of, chosen(limits=known))[0]
    assert (entry["met"], entry["beyond_chance"], entry["text"]) == (met, beyond, text)


# 13 of 100: exact 95 % limits 0.071 and 0.212; 30 of 100: 0.212 and 0.400.
@pytest.mark.parametrize(
    ("success", "known", "met", "beyond", "text"),
    [
        (13, limits(0.01, 0.06), False, True, "attack success 0.130, above the 0.100 asked for: beyond what one seed may do (0.010 to 0.060)"),
        (13, limits(0.01, 0.2), False, False, "attack success 0.130, above the 0.100 asked for: within what one seed may do (0.010 to 0.200)"),
        (20, limits(0.15, 0.25), False, True, "attack success 0.200, above the 0.100 asked for, as is all of what one seed may do here (0.150 to 0.250)"),
        (10, limits(0.01, 0.2), True, False, "attack success 0.100, at the 0.100 asked for; what one seed may do: 0.010 to 0.200"),
        (9, limits(0.01, 0.06), True, False, "attack success 0.090, below the 0.100 asked for, though worse than what one seed may do (0.010 to 0.060)"),
        (13, None, False, False, "attack success 0.130, above the 0.100 asked for: within what its test images alone leave open (0.071 to 0.212)"),
        (30, None, False, True, "attack success 0.300, above the 0.100 asked for: beyond what its test images alone leave open (0.212 to 0.400)"),
    ],
)  # fmt: skip
def test_attack_success(success, known, met, beyond, text) -> None:
    entries = held_to(result(930, success), chosen(limits=known))
    entry = entries[1]
    assert (entry["met"], entry["beyond_chance"], entry["text"]) == (met, beyond, text)
    assert missed(entries) == (["attack success"] if beyond else [])


def test_the_limits_are_of_the_other_seeds_of_this_attack() -> None:
    rows = [row("a", seed, k) for seed, k in ((0, 2), (1, 4), (2, 3), (9, 90))]
    entry = held_to(result(930, 13), chosen(rows=[*rows, row("b", 0, 70)]))[1]
    found = predict_one([(2, 100), (4, 100), (3, 100)], 100)
    assert (entry["low"], entry["high"], entry["by"]) == (found.low / 100, found.high / 100, "seeds")  # fmt: skip
    assert entry["beyond_chance"] == (found.high < 13)


def test_from_the_baseline() -> None:
    """Clean models at 0.02 in three seeds; without one, what meets x itself meets any sum."""
    clean = [row(CLEAN, seed, 2) for seed in range(3)]
    for success, met in ((12, True), (13, False)):
        entry = held_to(result(930, success), chosen(ABOVE, rows=clean))[1]
        assert entry["met"] is met and entry["threshold"] == pytest.approx(0.12)
        assert "the 0.120 (baseline + 0.1; clean models 0.020) asked for" in entry["text"]
    # The baseline of this seed may be higher than the mean of others: chance explains 0.13.
    tight = limits(0.01, 0.06)
    assert held_to(result(930, 13), chosen(ABOVE, limits=tight, rows=clean))[1]["beyond_chance"] is False  # fmt: skip
    assert held_to(result(930, 40), chosen(ABOVE, limits=tight, rows=clean))[1]["beyond_chance"] is True  # fmt: skip
    own = held_to(result(930, 13), chosen(ABOVE, limits=tight, rows=[*clean, row(CLEAN, 9, 1)]))[1]
    assert own["threshold"] == pytest.approx(0.11) and own["beyond_chance"] is True
    entry = held_to(result(930, 8), chosen(ABOVE))[1]
    assert entry["met"] is True and entry["baseline_success"] is None
    assert entry["text"].startswith("attack success 0.080, below the 0.100 (baseline + 0.1; the clean baseline is not known and counts as 0) asked for")  # fmt: skip
    entry = held_to(result(930, 13), chosen(ABOVE))[1]
    assert entry["met"] is entry["beyond_chance"] is entry["threshold"] is None
    assert entry["text"] == "attack success 0.130, not compared with the baseline + 0.1 asked for: the success of clean models at this point is not known"  # fmt: skip


def test_what_is_not_judged_and_what_meets_nothing() -> None:
    unknown = held_to(result(930, 5), chosen(replace(ASKED, clean=None)))[0]
    assert unknown["met"] is None
    assert unknown["text"] == "accuracy 0.930, not compared with the best - 0.05 asked for: the best accuracy of the sweep is not known"  # fmt: skip
    clean = held_to(result(930, 1), chosen(attack=None))[1]
    assert clean["met"] is None and clean["value"] == 0.01
    none = held_to(result(930, 0, 0), chosen())[1]
    assert none["met"] is None and none["text"].endswith("no test image was triggered")
    for word in ("collapsed", "diverged"):
        entries = held_to(result(950, 0, **{word: True}), chosen(limits=limits(0.0, 0.06)))
        assert missed(entries) == ["clean accuracy", "attack success"]
        assert entries[1]["text"] == f"attack success 0.000, below the 0.100 asked for, but this model has {word} and meets nothing"  # fmt: skip


def test_figures_that_three_decimals_do_not_tell_apart() -> None:
    entry = held_to(result(930, 1001, 10000), chosen(limits=limits(0.0, 0.06)))[1]
    assert entry["text"].startswith("attack success 0.1001, above the 0.1000 asked for: beyond")


def test_limits_of_poisoned_models_beside_a_clean_one() -> None:
    known = limits(0.01, 0.06)
    said = "accuracy 0.930, above the 0.917 (best - 0.05) asked for; what one poisoned seed may do, by the search's model: 0.900 to 0.950"  # fmt: skip
    assert held_to(result(930, 1), chosen(attack=None, limits=known))[0]["text"] == said
    better = held_to(result(960, 1), chosen(attack=None, limits=known))[0]["text"]
    assert "; better than what one poisoned seed may do, by the search's model (0.900" in better


def test_a_rule_that_is_a_number_is_said_once() -> None:
    for rule in ("0.917", "9.17e-01"):
        text = held_to(result(930, 1), chosen(replace(ASKED, clean_rule=rule)))[0]["text"]
        assert text == "accuracy 0.930, above the 0.917 asked for"


@pytest.mark.parametrize(
    ("of", "attack", "known", "said"),
    [
        (result(930, 5), PANEL, None, "Meets what the spec asks for: accuracy and attack success."),
        (result(930, 1), None, None, "Meets what the spec asks for: accuracy. Not judged: attack success (this model is clean)."),
        (result(930, 13), PANEL, limits(0.01, 0.2), "Misses attack success, within what one seed may do (exit code 0). Meets what the spec asks for: accuracy."),
        (result(930, 13), PANEL, None, "Misses attack success, within what its test images alone leave open (exit code 0). Meets what the spec asks for: accuracy."),
        (result(800, 13), PANEL, limits(0.01, 0.2), "Misses accuracy beyond chance (exit code 1). Misses attack success, within what one seed may do."),
        (result(800, 30), PANEL, None, "Misses accuracy and attack success beyond chance (exit code 1)."),
        (result(930, 0, 0), PANEL, None, "Meets what the spec asks for: accuracy. Not judged: attack success (no test image was triggered)."),
        (result(930, 0, collapsed=True), PANEL, None, "Misses accuracy and attack success: this model has collapsed (exit code 1)."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_line(of, attack, known, said) -> None:
    entries = held_to(of, chosen(attack=attack, limits=known))
    broken = "collapsed" if of.collapsed else None
    assert verdict_line(entries, attack is None, broken, 1 if missed(entries) else 0) == said


def test_the_verdict_names_attacks_apart() -> None:
    (accuracy, success) = held_to(result(930, 5), chosen())
    other = held_to(result(930, 90), chosen())[1] | {"attack": "sine to 0"}
    line = verdict_line([accuracy, success, other], False, None, 1)
    assert line == "Misses attack success of sine to 0 beyond chance (exit code 1). Meets what the spec asks for: accuracy and attack success of patch to 0."  # fmt: skip


POISONED_BY = {"number": 1, "attack_id": "a", "label": "patch"}


def test_the_limits_of_the_model_are_in_the_table() -> None:
    """Of a clean model they are those of a poisoned one; a better figure is not called outside."""
    for attack, correct, cells in (
        (PANEL, 930, ("by the model: 0.900 to 0.950", "by the model: 0.010 to 0.060")),
        (PANEL, 960, ("by the model: 0.900 to 0.950 (this one is better)",)),
        (PANEL, 890, ("by the model: 0.900 to 0.950 (this one is worse)",)),
        (
            None,
            930,
            (
                "by the model, of a poisoned one: 0.900 to 0.950",
                "none can be given of a clean model",
            ),
        ),
    ):
        of = result(correct, 5)
        entries = held_to(of, chosen(attack=attack, limits=limits(0.01, 0.06)))
        figures = [
            {"figure": e["figure"], "attack": e["attack"], "value": e["value"], "count": 1,
             "total": 1, "expected": None, "inside": None}
            for e in entries
        ]  # fmt: skip
        config = {
            "attack": POISONED_BY if attack else None, "figures": figures, "held_to": entries,
            "expected_from_seeds": [], "point_modelled": None, "region_about": "the median seed",
        }  # fmt: skip
        lines = _figures(config)
        for line, cell in zip(lines[1:], cells, strict=False):
            assert line.endswith(f"  {cell}")
        assert "One seed says nothing" not in "".join(lines)


# --- one new poisoned seed ----------------------------------------------------------------------


def test_the_chance_of_a_count_by_hand() -> None:
    """Two seeds of the same rate: Cauchy (t with 1 degree of freedom) about their angle, with the
    noise of the new seed, 1 / 402, and of the mean of two, 1 / 804, for its spread."""
    angle = math.asin(math.sqrt(10.375 / 100.75))
    at = math.asin(math.sqrt((14.5 + 0.375) / 100.75))
    scale = math.sqrt(1 / 402 + 1 / 804)
    by_hand = 0.5 + math.atan((angle - at) / scale) / math.pi
    assert chance_above([(10, 100), (10, 100)], 100, 14) == pytest.approx(by_hand)
    assert chance_above([(10, 100)], 100, 14) is None
    assert chance_above([(10, 100)] * 2, 100, 100) == 0 and chance_above([(10, 100)] * 2, 100, -1) == 1  # fmt: skip


def test_one_seed_in_so_many_may_miss() -> None:
    rows = [row("a", seed, k, correct) for seed, k, correct in ((0, 4, 940), (1, 7, 945), (2, 6, 938))]  # fmt: skip
    clean, success = foreseen(result(930, 1), chosen(attack=None, rows=rows), PANEL)
    chance = chance_above([(4, 100), (7, 100), (6, 100)], 100, 10)
    assert success["standing"] == "crosses" and success["chance_to_miss"] == chance
    assert success["text"] == f"attack success: its interval crosses the 0.100 asked for: about one seed in {round(1 / chance)} may miss it"  # fmt: skip
    assert clean["standing"] == ("meets" if predict_one([(940, 1000), (945, 1000), (938, 1000)], 1000).low >= 917 else "crosses")  # fmt: skip
    # Of clean models 0.05 of this seed: the threshold is 0.15.
    _, success = foreseen(result(930, 5), chosen(ABOVE, attack=None, rows=rows), PANEL)
    assert success["threshold"] == pytest.approx(0.15)
    # By a model: its limits are those of a normal distribution of logits.
    _, success = foreseen(result(930, 1), chosen(attack=None, limits=limits(0.2, 0.3)), PANEL)
    assert success["standing"] == "misses"
    assert success["text"] == "attack success: all of its interval misses the 0.100 asked for"
    rate = {"expected": 0.5, "lower": 0.25, "upper": 0.75}
    assert _above(rate, 0.75) == pytest.approx(0.025) and _above(rate, 0.5) == 0.5
    assert foreseen(result(930, 1), chosen(attack=None), PANEL) == []


# --- in words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "triggered", "said"),
    [
        (500, [464], "500 test images, 464 of them triggered as well"),
        (500, [464, 464, 464], "500 test images, 464 of them triggered as well by each of 3 triggers"),
        (500, [460, 464], "500 test images, 460 to 464 of them triggered as well by each of 2 triggers"),
        (1000, [1000], "1,000 test images and 1000 triggered ones"),
        (1, [0], "1 test image"),
    ],
)  # fmt: skip
def test_images_count_once(images, triggered, said) -> None:
    assert tried_on({"images": images, "triggered": triggered}) == said


def test_how_the_region_stands_is_said_first(tmp_path) -> None:
    def said(state: str) -> str | None:
        return _verification({"state": state, "text": f"{state} (2 of 5 draws pass)"}, tmp_path)

    assert said("failed") == "warning: the sweep's verification: failed (2 of 5 draws pass)"
    assert said("stale").startswith("warning: ") and said("too few").startswith("note: ")
    assert said("not yet").startswith("note: the sweep is not verified yet: `")
    assert said("verified") is None and _verification(None, tmp_path) is None
