"""The recommended setting as lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.answer_entry import AttackAtSetting, LimitsEntry, SettingEntry
from sweeps.records.control_entry import TAKES
from sweeps.records.control_text import NOT_SHOWN, on_accuracy_alone
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import RegionFile

BASIS_WORDS = {
    "bounds": "certainly IN: by bounds of its own seeds",
    "model": "likely IN: by a model of all points together",
    "means": "IN by means only: no claim about new seeds",
}
#: Attacks that are named, of those that are not shown to be resisted.
NAMED = 3


def setting_lines(region: RegionFile, setting: SettingEntry | None) -> list[str]:
    """All but the first begin with two spaces."""
    if setting is None:
        return ["Recommended: none."]
    stands = BASIS_WORDS[setting["basis"]]
    chance = chance_words(setting["inside"])
    inside = f", P(inside) {chance}" if chance else ""
    return [
        f"Recommended: {setting['label']} ({stands}{inside}, {margin_words(setting['margin'])})",
        f"  {_accuracy(region, setting)}",
        f"  {_worst(setting)}",
        *(f"  {line}" for line in _withstands(region, setting["attacks"])),
        *(f"  {line}" for line in on_accuracy_alone(region)),
    ]


def _accuracy(region: RegionFile, setting: SettingEntry) -> str:
    clean, best, cost = setting["clean_accuracy"], setting["best_accuracy"], setting["cost"]
    text = f"clean accuracy {rate_words(clean)}"
    if best is None or cost is None:
        return text
    if cost <= 0:
        return f"{text}; the most accurate point has {best:.3f}: nothing is given up"
    clean_source = region["thresholds"]["clean_accuracy"]["best_source"]
    source = " by its clean baseline" if clean_source == "baseline" else ""
    return f"{text}; it costs {cost:.3f} against the most accurate point ({best:.3f}{source})"


def _worst(setting: SettingEntry) -> str:
    worst = next(a for a in setting["attacks"] if a["label"] == setting["worst_attack"])
    success = rate_words(setting["attack_success"])
    return f"worst attack: {worst['label']}, success {success}{baseline_words(worst)}"


def baseline_words(attack: AttackAtSetting) -> str:
    """How often clean models give the attacker's answer to the same images, where it is known."""
    rate = attack["baseline_success"]
    return "" if rate is None else f"; clean models {rate:.3f}"


def rate_words(rate: LimitsEntry) -> str:
    """`0.934 (mean of 5 seeds; one new seed: 0.900 to 0.950)`."""
    of = "expected by the model"
    if rate["by"] == "seeds":
        of = f"mean of {counted(rate['seeds'] or 0, 'seed')}"
    if rate["lower"] is None or rate["upper"] is None:
        return f"{rate['value']:.3f} ({of}; one seed says nothing of others)"
    return f"{rate['value']:.3f} ({of}; one new seed: {rate['lower']:.3f} to {rate['upper']:.3f})"


def _withstands(region: RegionFile, attacks: Sequence[AttackAtSetting]) -> list[str]:
    """Attacks that take elsewhere and fail here; those that are not shown to take anywhere."""
    if not region.get("controls"):
        return []
    resisted = [a for a in attacks if a["passes"] and a["takes"] == TAKES]
    unshown = [a for a in attacks if a["passes"] and a["takes"] != TAKES]
    if not resisted:
        return []
    lines = [
        f"withstands {len(resisted)} of {counted(len(attacks), 'attack')}, which take elsewhere"
    ]
    if unshown:
        named = "; ".join(attack["label"] for attack in unshown[:NAMED])
        more = f"; and {len(unshown) - NAMED} more" if len(unshown) > NAMED else ""
        takes = noun_for(len(unshown), "it takes", "they take")
        lines.append(f"{NOT_SHOWN}, as {takes} at no other point: {named}{more}")
    return lines


def margin_words(margin: float) -> str:
    """`margin 0.028`. Where no digit of it is shown, that the point lies on a threshold."""
    if abs(margin) >= 0.0005:
        return f"margin {margin:.3f}"
    return f"margin 0.000: {'almost ' if margin else ''}on the threshold"
