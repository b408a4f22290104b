"""Answers made by hand: whole region.json dicts of version 2, of each search and in each state.

Counts and shares are counted from the points, so that a page can be compared with them.
"""

from __future__ import annotations

from typing import Any, Literal

from sweeps.records.region_file import REGION_VERSION

Region = dict[str, Any]
Search = Literal["grid", "sobol", "tpe", "region"]
When = Literal["finished", "interrupted", "running", "nothing inside", "nothing judged"]
SEARCHES: tuple[Search, ...] = ("grid", "sobol", "tpe", "region")
WHENS: tuple[When, ...] = ("finished", "interrupted", "running", "nothing inside", "nothing judged")
VERDICTS = ("certainly in", "likely in", "undecided", "likely out", "certainly out", "incomplete")


def answered(region: Region, **changes: Any) -> Region:
    """A region of points with all that version 2 adds, by bounds and means; `changes` replace it."""
    for point in region["points"]:
        point["verdict"] = _verdict(point)
    counts = _counts(region["points"])
    setting = _setting(region)
    return region | {
        "schema_version": REGION_VERSION,
        "question": {
            "text": f"Which settings keep {region['thresholds']['clean_accuracy']['rule']}?",
            "attacks": len(region["panel"]), "seeds": 3, "target": "mean",
        },
        "state": state("finished", region["trials"]),
        "headline": headline(counts, setting),
        "verdicts": {"confidence": 0.95, "points": counts, "space": None},
        "setting": setting,
        "where": {"basis": setting and setting["basis"], "of": "points", "box": None, "rule": None,
                  "recommended_outside": None, "text": []},
        "limiting": [], "front": [], "next": [], "lacks": [], "text": [],
        "verification": verification("not yet"),
    } | changes  # fmt: skip


def _verdict(point: Region) -> str:
    if point["clean_accuracy"] is None:
        return "incomplete"
    sure = {"IN": "certainly in", "OUT": "certainly out"}
    likely = {"IN": "likely in", "OUT": "likely out"}
    by_model = likely.get(point.get("by_model", ""), "undecided")
    return sure.get(point["by_bounds"], by_model)


def _counts(points: list[Region]) -> dict[str, int]:
    found = {v.replace(" ", "_"): sum(p["verdict"] == v for p in points) for v in VERDICTS}
    return {"total": len(points), **found, "in_by_means": sum(p["by_means"] == "IN" for p in points)}  # fmt: skip


def headline(counts: dict[str, int], setting: Region | None) -> dict[str, str]:
    of = f"of {counts['total']} points"
    if counts["certainly_in"]:
        return {"claim": "certain", "text": f"{counts['certainly_in']} {of} are certainly IN."}
    if counts["likely_in"]:
        return {"claim": "likely", "text": f"{counts['likely_in']} {of} are likely IN."}
    if counts["in_by_means"]:
        return {"claim": "means", "text": f"{counts['in_by_means']} {of} are IN by means only."}
    if counts["total"] == counts["incomplete"]:
        return {"claim": "unknown", "text": "Nothing has been judged yet."}
    return {"claim": "none", "text": f"None {of} is IN."}


def state(name: str, trials: Region, why: str | None = None, at_most: bool = False) -> Region:
    stopped = trials.get("stopped", 0)
    ended = trials["finished"] + stopped
    most = "at most " if at_most else ""
    text = f"{name}: {ended} of {most}{trials['planned']} trials have ended"
    return {"state": name, "text": f"{text}{f', since {why}' if why else ''}", "at_most": at_most,
            "planned": trials["planned"], "ended": ended, "failed": trials["failed"], "why": why}  # fmt: skip


def limits(value: float, by: str = "seeds", seeds: int | None = 3) -> Region:
    some = by == "model" or (seeds or 0) > 1
    return {"value": value, "lower": value - 0.04 if some else None,
            "upper": value + 0.03 if some else None, "confidence": 0.95, "by": by,
            "seeds": None if by == "model" else seeds,
            "chance_to_miss": (0.1631 if value < 0.5 else 0.996) if some else None}  # fmt: skip


def _setting(region: Region) -> Region | None:
    chosen = region["recommended"]
    if chosen is None:
        return None
    point = next(p for p in region["points"] if p["defence_id"] == chosen["defence_id"])
    best = region["thresholds"]["clean_accuracy"]["best"]
    controls = {c["attack_id"]: c["state"] for c in region.get("controls", [])}
    most = region["thresholds"]["attack_success"]
    labels = {a["attack_id"]: a["label"] for a in region["panel"]}
    attacks = [
        {"attack_id": a["attack_id"], "label": labels[a["attack_id"]],
         "attack_success": limits(a["attack_success"], seeds=point["seeds"]),
         "baseline_success": a["baseline_success"], "passes": a["attack_success"] <= most,
         "takes": controls.get(a["attack_id"], "unknown")}
        for a in point["attacks"]
    ]  # fmt: skip
    return {
        "defence_id": point["defence_id"], "label": point["label"], "factors": point["factors"],
        "defence": {}, "basis": chosen["basis"], "margin": chosen["margin"],
        "inside": point.get("inside"),
        "clean_accuracy": limits(point["clean_accuracy"], seeds=point["seeds"]),
        "attack_success": limits(point["attack_success"], seeds=point["seeds"]),
        "worst_attack": labels[point["worst_attack"]], "best_accuracy": best,
        "cost": None if best is None else max(best - point["clean_accuracy"], 0.0),
        "attacks": attacks, "text": [],
    }  # fmt: skip


#: Standing to passed draws, draws and the clause that pages lead with.
STANDINGS = {
    "verified": (59, 59, "verified (59 of 59 draws pass)"),
    "failed": (2, 5, "failed (2 of 5 draws pass)"),
    "too few": (5, 5, "too few draws (5 of 5 pass)"),
    "unfinished": (0, 0, "unfinished"),
    "stale": (59, 59, "stale (59 of 59 draws passed before)"),
    "used up": (59, 59, "used up"),
    "not yet": (0, 0, "not yet verified"),
}


def verification(name: str) -> Region:
    passed, draws, text = STANDINGS[name]
    known = draws > 0
    where = {"condition": "weight_decay >= 0.01", "failed": 3, "draws": 4, "elsewhere_failed": 0,
             "elsewhere_draws": 1}  # fmt: skip
    return {
        "state": name, "text": text, "verification_id": "0123456789ab" if known else None,
        "verdict": ("passed" if passed == 59 else "not proven") if known else None,
        "passed": passed, "draws": draws, "claim": 0.95 if known else None,
        "lower_bound": 0.05 ** (1 / draws) if passed == draws > 0 else 0.076 if known else None,
        "basis": "bounds" if known else None, "earlier": 2 if known else 0,
        "stale_because": "12 trials were added since" if name == "stale" else None,
        "failed_where": [where] if name == "failed" else [],
    }  # fmt: skip


# --- a region search ---------------------------------------------------------------------------


def searched(region: Region, when: When) -> Region:
    """The answer of a region search over points that lack trials, and a setting never tried."""
    judged = when != "nothing judged"
    inside = judged and when != "nothing inside"
    region["recommended"] = None
    found = answered(region)
    for number, point in enumerate(region["points"]):
        chance = (0.99 if inside else 0.4) - number * 0.02
        if judged:
            point |= {"inside": max(chance, 0.001), "expected": _expected(region, number)}
        likely = "likely in" if chance >= 0.95 else "undecided" if chance > 0.05 else "likely out"
        point["verdict"] = likely if judged else "incomplete"
    found["verdicts"]["points"] = _counts(region["points"])
    found["model"] = model_entry(inside) if judged else None
    setting = _searched_setting(region) if inside else None
    space = {"likely_in": 0.21 if inside else 0.0, "undecided": 0.33, "likely_out": 0.46 if inside
             else 0.67, "volume": 0.28 if inside else 0.02, "volume_lower": 0.19 if inside else 0.0,
             "volume_upper": 0.37}  # fmt: skip
    box = {"category": {"defence.architecture": "mlp"}, "intervals": [
        {"factor": "defence.weight_decay", "low": 0.01, "high": 0.1},
        {"factor": "defence.learning_rate x defence.weight_decay", "low": None, "high": 0.5},
    ], "precision": 0.97, "coverage": 0.61}  # fmt: skip
    return found | {
        "question": found["question"] | {"target": "median"},
        "verdicts": found["verdicts"] | {"space": space if judged else None},
        "setting": setting,
        "headline": _searched_headline(inside, judged),
        "where": {
            "basis": "model" if inside else None, "of": "space", "box": box if inside else None,
            "rule": None, "text": [], "recommended_outside":
            "The recommended setting lies outside the box: its learning rate is larger."
            if inside else None,
        },
        "limiting": [{"label": "clean accuracy", "share": 0.83}] if judged else [],
        "front": [{"poison_rate": 0.01, "share": 0.41, "lower": 0.3, "upper": 0.5}] if judged else [],
    }  # fmt: skip


def _searched_headline(inside: bool, judged: bool) -> dict[str, str]:
    if not judged:
        return {"claim": "unknown", "text": "Nothing has been judged yet."}
    if not inside:
        return {"claim": "none", "text": "No part of the space is likely inside."}
    return {"claim": "likely", "text": "21 % of the defence space is likely IN."}


def _expected(region: Region, number: int) -> Region:
    return {
        "clean_accuracy": {"expected": 0.95 - number * 0.001, "lower": 0.9, "upper": 0.97},
        "attack_success": {"expected": 0.11, "lower": 0.02, "upper": 0.3},
        "worst_attack": region["panel"][1]["label"],
    }


def model_entry(inside: bool) -> Region:
    def at(label: str, chance: float) -> Region:
        rate = {"expected": 0.95, "lower": 0.9, "upper": 0.97}
        return {"label": label, "probability": chance, "clean_accuracy": rate,
                "attack_success": rate, "worst_attack": "blend at 3 %", "factors": {}, "defence": {},
                "resists": []}  # fmt: skip

    shares = {"IN": 0.2, "OUT": 0.4, "UNDECIDED": 0.4}
    return {"trials": 60, "target": "median", "clean_accuracy": 0.9, "best_accuracy": 0.95,
            "expected_f1": 0.8, "cutoff": 0.95, "space": shares, "categories": [], "front": [],
            "volume": {"fraction": 0.28, "lower": 0.19, "upper": 0.37}, "limits": [], "box": None,
            "rule": None, "recommended": None, "stopped_by": None, "next": [],
            "suspect": None if inside else at("mlp, weight_decay 0.02", 0.41),
            "most_accurate": at("mlp, weight_decay 0", 0.02)}  # fmt: skip


def _searched_setting(region: Region) -> Region:
    attacks = [
        {"attack_id": a["attack_id"], "label": a["label"],
         "attack_success": limits(0.05 + 0.04 * n, "model"), "baseline_success": None,
         "passes": n < 2, "takes": ("takes", "nowhere", "unknown")[n]}
        for n, a in enumerate(region["panel"])
    ]  # fmt: skip
    return {
        "defence_id": "never-tried", "label": "mlp, weight_decay 0.03384",
        "factors": {"defence.architecture": "mlp", "defence.weight_decay": 0.03384}, "defence": {},
        "basis": "model", "margin": 0.031, "inside": 0.999, "best_accuracy": 0.972,
        "cost": 0.972 - 0.938, "clean_accuracy": limits(0.938, "model"),
        "attack_success": limits(0.13, "model"), "worst_attack": attacks[-1]["label"],
        "attacks": attacks, "text": [],
    }  # fmt: skip


# --- one search in one state -------------------------------------------------------------------

TRIALS = {"finished": 40, "stopped": 0, "failed": 0, "planned": 40}
#: Trials and state by what became of the sweep; a region search ends before the most it may train.
PARTLY = TRIALS | {"finished": 31, "failed": 2}


def in_state(found: Region, search: Search, when: When) -> Region:
    """The same with trials and state as they are then."""
    partly = when in ("interrupted", "running", "nothing judged")
    trials = dict(PARTLY if partly else TRIALS)
    why = None
    if search == "region" and not partly:
        trials, why = trials | {"finished": 31}, "the region is known well enough"
    name = {"interrupted": "stopped", "nothing judged": "stopped", "running": "running"}
    at_most = search == "region"
    return found | {
        "trials": trials,
        "state": state(name.get(when, "finished"), trials, why, at_most=at_most),
    }
