"""The answer that region.json has of every search: headline, verdicts, state, setting, its lines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from answer_sweeps import asked as asked_by
from answer_sweeps import made as made_by
from made_sweeps import IMAGES, PATCH, asked, judged, trial, trials
from scipy import stats

from sweeps.records.answer_lines import verdict_lines
from sweeps.records.headline import headline_of
from sweeps.records.setting_text import setting_lines
from sweeps.records.state_text import state_entry
from sweeps.records.verdicts import verdict_of, verdicts_of

# --- regions by hand ---------------------------------------------------------------------------

#: (by_means, by_bounds, by_model) → the surest verdict that holds.
KINDS = {
    ("IN", "IN", "IN"): "certainly in",
    ("OUT", "IN", "OUT"): "certainly in",
    ("IN", "UNDECIDED", "IN"): "likely in",
    ("OUT", "UNDECIDED", "IN"): "likely in",
    ("IN", "UNDECIDED", "UNDECIDED"): "undecided",
    ("OUT", "UNDECIDED", "UNDECIDED"): "undecided",
    ("OUT", "UNDECIDED", "OUT"): "likely out",
    ("OUT", "OUT", "UNDECIDED"): "certainly out",
    ("INCOMPLETE", "UNDECIDED", "UNDECIDED"): "incomplete",
    ("INCOMPLETE", "UNDECIDED", "OUT"): "likely out",
}
INSIDE, LIKELY, MEANS, MISSED, MISSING = (
    ("IN", "IN", "IN"),
    ("IN", "UNDECIDED", "IN"),
    ("IN", "UNDECIDED", "UNDECIDED"),
    ("OUT", "OUT", "OUT"),
    ("INCOMPLETE", "UNDECIDED", "UNDECIDED"),
)
ASKED = "clean accuracy >= 0.917 (best - 0.05), attack success <= 0.1 for all 2 attacks"


def point(means: str, bounds: str, model: str, **more: Any) -> dict[str, Any]:
    return {"by_means": means, "by_bounds": bounds, "by_model": model, "broken": 0, **more}


def region(*kinds: tuple[str, str, str], **changes: Any) -> Any:
    """Points of these verdicts, of a panel of two attacks. changes: keys of the file."""
    points = [point(*kind) for kind in kinds]
    counts = {word: sum(p["by_means"] == word for p in points) for word in ("IN", "OUT")}
    return {
        "points": points, "panel": [{}, {}],
        "counts": {"by_means": {**counts, "INCOMPLETE": sum(k == MISSING for k in kinds)}},
        "thresholds": {
            "clean_accuracy": {"rule": "best - 0.05", "value": 0.917, "left_out": []},
            "attack_success": 0.1, "confidence": 0.95,
        },
        "trials": {"finished": 4, "stopped": 0, "failed": 0, "planned": 4},
        **changes,
    }  # fmt: skip


def unknown_best(**more: Any) -> dict[str, Any]:
    """Thresholds of a sweep whose best accuracy is not known."""
    clean = {"rule": "best - 0.05", "value": None, "left_out": [], **more}
    return {"clean_accuracy": clean, "attack_success": 0.1, "confidence": 0.95}


def model(**space: float) -> dict[str, Any]:
    """What a region search's model says of the space; 32.5 % is expected inside."""
    volume = {"fraction": 0.325, "lower": 0.301, "upper": 0.35}
    return {"space": space, "volume": volume, "clean_accuracy": 0.917}


# --- the headline ------------------------------------------------------------------------------

SEEDS = "every attack of the panel needs every seed."
BROKEN = {"defence_id": "d", "source": "panel", "models": 4, "seeds": [0, 1], "reference": False}


@pytest.mark.parametrize(
    ("given", "claim", "text"),
    [
        (region(INSIDE, LIKELY, LIKELY, MISSED), "certain", f"1 of 4 defence points is certainly IN: {ASKED}."),
        (region(INSIDE, INSIDE, MISSED), "certain", f"2 of 3 defence points are certainly IN: {ASKED}."),
        (region(INSIDE), "certain", f"1 of 1 defence point is certainly IN: {ASKED}."),
        (region(LIKELY, LIKELY, MEANS), "likely", f"2 of 3 defence points are likely IN, none certainly: {ASKED}."),
        (region(LIKELY, MISSED), "likely", f"1 of 2 defence points is likely IN, none certainly: {ASKED}."),
        (region(MEANS, MEANS, MISSED), "means", f"2 of 3 defence points are IN by means only, which claims nothing about new seeds: {ASKED}."),
        (region(MISSED, MISSED), "none", f"No region: none of 2 defence points meets {ASKED}."),
        (region(MISSED, ("OUT", "UNDECIDED", "UNDECIDED")), "none", f"No region found: none of 2 defence points meets {ASKED}. 1 is undecided."),
        (region(MISSED, MISSED, MISSING), "none", f"No region found: none of 2 judged points meets {ASKED}. 1 is incomplete."),
        (region(MISSED, MISSING, trials={"finished": 4, "stopped": 1}), "none", f"No region found: none of 1 judged point meets {ASKED}. 1 is incomplete (1 trial was stopped early)."),
        (region(MISSED, thresholds=unknown_best(left_out=[BROKEN])), "none", "No region: the best accuracy is not known: 1 defence point has ended, and no seed is left where no model collapsed or diverged."),
        (region(MISSING, MISSING), "unknown", f"No defence point is complete yet, 2 are tried and incomplete: {SEEDS}"),
        (region(MISSING, trials={"finished": 4, "stopped": 2}), "unknown", f"No defence point is complete yet, 1 is tried and incomplete (2 trials were stopped early): {SEEDS}"),
        (region(thresholds=unknown_best()), "unknown", f"No defence point is complete yet, none is tried: {SEEDS}"),
        (region(thresholds=unknown_best() | {"attack_rule": "baseline + 0.1"}), "unknown", "No defence point is complete yet, none is tried: every attack of the panel and the clean baseline needs every seed."),
    ],
)  # fmt: skip
def test_the_headline_is_the_strongest_claim_that_holds(given: Any, claim: str, text: str) -> None:
    assert headline_of(given) == {"claim": claim, "text": text}


@pytest.mark.parametrize(
    ("found", "claim", "text"),
    [
        (model(IN=0.301, UNDECIDED=0.1, OUT=0.599), "likely", f"30.1 % of the defence space is likely IN: {ASKED}."),
        (model(IN=0.0, UNDECIDED=0.2, OUT=0.8), "none", f"No point of the defence space is likely IN yet: {ASKED}."),
        (model(IN=0.0, UNDECIDED=0.009, OUT=0.991), "none", f"No region found: no point of the defence space is likely to meet {ASKED}."),
        (None, "unknown", "Too few trials have finished to say anything about the region."),
    ],
)  # fmt: skip
def test_the_headline_of_a_region_search_is_of_its_space(found: Any, claim: str, text: str) -> None:
    assert headline_of(region(MISSING, model=found)) == {"claim": claim, "text": text}


def test_a_region_search_whose_models_are_all_broken_says_so() -> None:
    broken = region(MISSING, model=None, points=[point(*MISSING, broken=4)])
    assert headline_of(broken)["text"] == (
        "Every model collapsed or diverged: nothing can be said about the region."
    )
    few = region(MISSING, model=None, points=[point(*MISSING, broken=3)])
    assert headline_of(few)["text"].startswith("Too few trials")


# --- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "verdict"), KINDS.items())
def test_the_surest_verdict_of_a_point(kind: tuple[str, str, str], verdict: str) -> None:
    given: Any = point(*kind)
    assert verdict_of(given) == verdict
    if verdict == "incomplete":  # a region search expects figures there, and completes no points
        assert verdict_of(given | {"expected": {}}) == "undecided"


def test_verdict_counts_add_up() -> None:
    entry = verdicts_of(region(*KINDS))
    counts = dict(entry["points"])
    assert counts == {
        "total": 10, "certainly_in": 2, "likely_in": 2, "undecided": 2, "likely_out": 2,
        "certainly_out": 1, "incomplete": 1, "in_by_means": 3,
    }  # fmt: skip
    assert sum(counts.values()) - counts["total"] - counts["in_by_means"] == counts["total"]
    assert (entry["confidence"], entry["space"]) == (0.95, None)
    said, meaning = verdict_lines(entry)
    assert said == (
        "Of 10 tried points, at 95 %: 2 certainly IN, 2 likely IN, 2 undecided, 2 likely OUT, "
        "1 certainly OUT, 1 incomplete; 3 IN by means"
    )
    assert meaning == (
        "  certainly: by bounds of its own seeds, each point by itself; likely: by a model of all "
        "points; by means: no claim about new seeds"
    )
    assert verdict_lines(verdicts_of(region(MISSED)))[0] == (
        "Of 1 tried point, at 95 %: 0 certainly IN, 0 likely IN, 0 undecided, 0 likely OUT, "
        "1 certainly OUT; 0 IN by means"
    )
    assert verdict_lines(verdicts_of(region())) == []


def test_verdicts_of_a_space_come_before_those_of_its_tried_points() -> None:
    found = region(MISSED, model=model(IN=0.301, UNDECIDED=0.1, OUT=0.599))
    space, points, _ = verdict_lines(verdicts_of(found))
    assert space == (
        "Of the defence space, at 95 %: 30.1 % likely IN, 10 % undecided, 59.9 % likely OUT; "
        "best estimate of the share inside 32.5 % (90 % interval 30.1 % to 35 %)"
    )
    assert points == (
        "Of 1 tried point, at 95 %: 0 certainly IN, 0 likely IN, 0 undecided, 0 likely OUT, "
        "1 certainly OUT; the search prefers points near the border, so that these counts are no "
        "shares of the space"
    ), "points of a region search have no means"


# --- the state ---------------------------------------------------------------------------------


def counts(finished: int, planned: int | None, failed: int = 0, **stopped: int) -> Any:
    return {"finished": finished, "failed": failed, "planned": planned, **stopped}


def test_points_that_have_not_begun_are_said() -> None:
    found = state_entry(counts(48, 192), "stopped", False, None, (8, 16))
    assert found["points_planned"] == 16
    assert found["text"] == (
        "stopped, 48 of 192 trials have ended; 8 of 16 points have begun. `sweeps resume` goes on."
    )
    assert "begun" not in state_entry(counts(192, 192), "finished", False, None, (16, 16))["text"]


@pytest.mark.parametrize(
    ("trials", "state", "at_most", "why", "text"),
    [
        (counts(12, 648), "running", False, None, "running, 12 of 648 trials have ended."),
        (counts(1, 648), "stopped", False, None, "stopped, 1 of 648 trials has ended. `sweeps resume` goes on."),
        (counts(648, 648), "finished", False, None, "finished, 648 of 648 trials have ended."),
        (counts(30, 120), "stopped", True, None, "stopped, 30 of at most 120 trials have ended. `sweeps resume` goes on."),
        (counts(120, 120), "finished", True, None, "finished, 120 of 120 trials have ended."),
        (counts(60, 120), "finished", True, "it is certain enough", "finished, 60 of at most 120 trials have ended. The search ended by itself: it is certain enough."),
        (counts(16, 18, 2), "finished", False, None, "finished, 16 of 18 trials have ended; 2 failed."),
        (counts(15, 18, 1, stopped=2), "finished", False, None, "finished, 17 of 18 trials have ended, 2 of them early; 1 failed."),
        (counts(1, None), "running", True, None, "running, 1 trial has ended."),
        (counts(7, None), "stopped", True, None, "stopped, 7 trials have ended. `sweeps resume` goes on."),
    ],
)  # fmt: skip
def test_the_state_is_one_line(trials: Any, state: Any, at_most: bool, why: Any, text: str) -> None:
    assert state_entry(trials, state, at_most, why) == {
        "state": state, "text": text, "planned": trials["planned"], "at_most": at_most, "why": why,
        "ended": trials["finished"] + trials.get("stopped", 0), "failed": trials["failed"],
        "points_planned": None,
    }  # fmt: skip


# --- the recommended setting -------------------------------------------------------------------

#: Of 1000 images: correct and successful ones of three seeds at the point that is recommended.
RIGHT, HITS = (930, 950, 940), (100, 140, 150)


def setting(blend: int = 20, **thresholds: Any) -> tuple[Any, Any]:
    """The recommended setting and its region. The patch takes at the first point, of accuracy 0.96,
    and not at the second; the blend has `blend` successes everywhere."""
    rows = [*trials(0.1, (960,) * 3, (700,) * 3), *trials(1, RIGHT, HITS)]
    rows += [r for d, k in ((0.1, 960), (1, 940)) for r in trials(d, [k] * 3, [blend] * 3, "blend")]
    rows += [trial(d, "clean", s, 960, {PATCH: 30, "blend": 20}) for d in (0.1, 1) for s in range(3)]  # fmt: skip
    found = judged(rows, asked((PATCH, "blend"), **thresholds))
    return found["setting"], found


def predicted(counts: tuple[int, ...]) -> tuple[float, float]:
    """Limits for one new seed of 1000 images, outward to whole images: Student's t on Anscombe's
    angles, whose spread is at least that of counting images."""
    angles = [math.asin(math.sqrt((k + 0.375) / (IMAGES + 0.75))) for k in counts]
    least = (1 + 1 / 3) / (4 * IMAGES + 2)
    reach = stats.t.ppf(0.975, 2) * math.sqrt(max(stdev(angles) ** 2 * (1 + 1 / 3), least))
    ends = (sum(angles) / 3 - reach, sum(angles) / 3 + reach)
    low, high = ((IMAGES + 0.75) * math.sin(end) ** 2 - 0.375 for end in ends)
    return math.floor(low) / IMAGES, math.ceil(high) / IMAGES


def test_the_setting_has_limits_for_one_new_seed_and_its_cost() -> None:
    found, whole = setting(below_best=0.05)
    clean, success = found["clean_accuracy"], found["attack_success"]
    assert clean["value"] == pytest.approx(0.94) and success["value"] == pytest.approx(0.13)
    assert (clean["lower"], clean["upper"]) == pytest.approx(predicted(RIGHT))
    assert (success["lower"], success["upper"]) == pytest.approx(predicted(HITS))
    for limits in (clean, success):
        assert (limits["confidence"], limits["by"], limits["seeds"]) == (0.95, "seeds", 3)
    assert found["best_accuracy"] == pytest.approx(0.96) and found["cost"] == pytest.approx(0.02)
    assert (found["worst_attack"], found["margin"]) == ("patch at 1 %", pytest.approx(0.03))
    assert found["factors"] == {"defence.weight_decay": 1}
    assert found["defence"] == {"weight_decay": 1}
    patch, blend = found["attacks"]
    assert (patch["takes"], patch["passes"], patch["baseline_success"]) == ("takes", True, 0.03)
    assert (blend["takes"], blend["passes"], blend["baseline_success"]) == ("nowhere", True, 0.02)
    low, high = predicted(HITS)
    assert found["text"] == [
        "Recommended: defence, weight_decay 1 (IN by means only: no claim about new seeds, margin "
        "0.030 to the nearer threshold)",
        "  chosen as the point IN by means with the largest margin, by these figures, which are "
        "optimistic",
        f"  clean accuracy 0.940 (mean of 3 seeds; one new seed: {clean['lower']:.3f} to "
        f"{clean['upper']:.3f} with 95 %, about 6.9 % of new seeds miss the threshold); it costs "
        "0.020 against the point that is best on validation images (0.960)",
        f"  worst attack: patch at 1 %, success 0.130 (mean of 3 seeds; one new seed: {low:.3f} to "
        f"{high:.3f} with 95 %, about 8.7 % of new seeds miss the threshold); clean models 0.030",
        "  withstands 2 of 2 attacks; 1 of these is shown to take in this sweep",
        "  not shown to be resisted, as it takes at no tried point: blend at 2 %",
    ]
    assert found["text"] == setting_lines(whole, found)


def test_what_is_compared_with_clean_models_is_said_with_it() -> None:
    found, _ = setting(above_baseline=True, attack_success=0.15)
    # 0.13 - 0.03, of which 0.15 is allowed.
    assert found["margin"] == pytest.approx(0.05) and found["attacks"][0]["passes"]
    assert found["text"][3].endswith(" with 95 %); 0.100 above its clean baseline (0.030)")


def test_attacks_that_are_not_withstood_or_not_known_to_take_are_named() -> None:
    found, whole = setting(below_best=0.05)
    patch, blend = found["attacks"]
    blend["takes"] = "unknown"
    assert setting_lines(whole, found)[-1] == (
        "  not shown to be resisted, as it is not known to take: blend at 2 %"
    )
    blend["takes"] = "takes"
    assert setting_lines(whole, found)[4:] == [
        "  withstands 2 of 2 attacks; 2 of these are shown to take in this sweep"
    ]
    patch["passes"] = False
    assert setting_lines(whole, found)[4:] == [
        "  withstands 1 of 2 attacks; 1 of these is shown to take in this sweep",
        "  not withstood: patch at 1 %",
    ]
    many = [{**blend, "label": f"attack {n}", "takes": "nowhere"} for n in range(5)]
    assert setting_lines(whole, {**found, "attacks": [*found["attacks"], *many]})[5] == (
        "  not shown to be resisted, as they take at no tried point: attack 0; attack 1; attack 2; "
        "and 2 more"
    )


BEST = "the point that is best on validation images"


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (0.0206, f"; it costs 0.021 against {BEST} (0.960)"),
        (0.0004, f"; it costs less than 0.001 against {BEST} (0.960)"),
        (0.0, f"; {BEST} has 0.960: nothing is given up"),
        (-0.01, f"; {BEST} has 0.960: nothing is given up"),
        (None, " of new seeds miss the threshold)"),
    ],
)
def test_what_a_setting_costs(cost: float | None, said: str) -> None:
    found, whole = setting(below_best=0.05)
    assert setting_lines(whole, {**found, "cost": cost})[2].endswith(said)


def test_one_seed_has_no_limits() -> None:
    (found,) = [judged([trial(1, PATCH, 0, 940, 20)], asked(seeds=1))["setting"]]
    assert found["clean_accuracy"]["lower"] is found["attack_success"]["upper"] is None
    assert found["text"][3] == (
        "  worst attack: patch at 1 %, success 0.020 (mean of 1 seed; one seed says nothing of "
        "others)"
    )


# --- the lines ---------------------------------------------------------------------------------

#: How lines of the answer begin, in this order; a search has those that it can say.
ORDER = (
    "Verification:", "Answer:", "Of the defence space", "Of ", "  certainly:", "By a model of",
    "The panel proves nothing", "The model of all points", "State:", "Recommended:",
    "  clean accuracy", "  worst attack", "  withstands", "  not shown", "Most accurate:",
    "largest box:", "short rule:", "most frequent reason", "judged points IN", "volume against",
    "Stability",
)  # fmt: skip
#: Of these, what every search says that has found a region.
COMMON = (
    "Verification:", "Answer:", "Of ", "  certainly:", "State:", "Recommended:",
    "  clean accuracy", "  worst attack", "  withstands", "largest box:",
    "most frequent reason",
)  # fmt: skip


def beginnings(lines: list[str]) -> list[str]:
    """The beginning of each line that has one of them, each once."""
    found = (next((each for each in ORDER if line.startswith(each)), None) for line in lines)
    return list(dict.fromkeys(each for each in found if each is not None))


def test_a_grid_and_a_region_search_answer_in_the_same_order(tmp_path: Path) -> None:
    for search, state in {"grid": "finished", "region": "interrupted"}.items():
        paths = made_by(tmp_path / search, asked_by(search, seeds=3), state)
        found = json.loads(paths.region.read_text())
        said = beginnings(found["text"])
        assert said == sorted(said, key=ORDER.index), search
        assert [each for each in said if each in COMMON] == list(COMMON), search
        told = {
            key: found[key]["text"] for key in ("verification", "headline", "state", "question")
        }
        assert found["text"][0] == f"Verification: {told['verification']}"
        assert found["text"][1] == f"Answer: {told['headline']}"
        assert f"State: {told['state']}" in found["text"]
        seeds = "in the mean over seeds" if search == "grid" else "for the median seed"
        assert told["question"] == (
            "Which training settings reach clean accuracy >= 0.8, attack success <= 0.2 for all 2 "
            f"attacks, {seeds}?"
        )
