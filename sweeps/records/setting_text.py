"""The recommended setting as lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.answer_entry import AttackAtSetting, LimitsEntry, SettingEntry
from sweeps.records.control_entry import NOWHERE, TAKES, UNKNOWN
from sweeps.records.control_text import NOT_SHOWN, on_accuracy_alone
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import RegionFile

BASIS_WORDS = {
    "bounds": "certainly IN: by bounds of its own seeds",
    "model": "likely IN: by a model of all points together",
    "means": "IN by means only: no claim about new seeds",
}
#: Of which points the recommended one is chosen, and by what.
CHOSEN = {
    "bounds": "the point certainly IN with the largest margin",
    "model": "the point likely IN with the highest P(inside)",
    "means": "the point IN by means with the largest margin",
    "space": "the setting likely IN with the largest margin in standard deviations of a new seed",
}
#: A chance to miss below this one is not said.
RARE = 0.005
#: From here on two digits would be 100 %.
ALMOST_ALL = 0.995
#: Attacks that are named, of those that are not shown to be resisted.
NAMED = 3
#: Why they are not shown to be, of one attack and of several, by whether they take in the sweep.
UNSHOWN = {
    NOWHERE: ("it takes at no tried point", "they take at no tried point"),
    UNKNOWN: ("it is not known to take", "they are not known to take"),
}
#: Of smaller figures, three decimals show nothing.
LEAST_SHOWN = 0.0005


def setting_lines(region: RegionFile, setting: SettingEntry | None) -> list[str]:
    """All but the first begin with two spaces."""
    if setting is None:
        return ["Recommended: none."]
    stands = BASIS_WORDS[setting["basis"]]
    chance = chance_words(setting["inside"])
    inside = f", P(inside) {chance}" if chance else ""
    return [
        f"Recommended: {setting['label']} ({stands}{inside}, {margin_words(setting['margin'])})",
        f"  {_chosen(region, setting)}",
        f"  {_accuracy(region, setting)}",
        f"  {_worst(region, setting)}",
        *(f"  {line}" for line in _withstands(region, setting["attacks"])),
        *(f"  {line}" for line in on_accuracy_alone(region)),
        *(f"  {line}" for line in _fresh(setting)),
    ]


def _fresh(setting: SettingEntry) -> list[str]:
    """How draws of this very setting did in the verification."""
    if (found := setting.get("fresh")) is None:
        return []
    verb = noun_for(found["draws"], "passes", "pass")
    failed = ": it failed with fresh seeds" if found["passed"] < found["draws"] / 2 else ""
    return [
        f"in the verification {found['passed']} of {counted(found['draws'], 'draw')} of this very "
        f"setting {verb}{failed}"
    ]


def _chosen(region: RegionFile, setting: SettingEntry) -> str:
    """Why this one, and whether it was trained. Its own figures chose it: they are optimistic."""
    if setting["clean_accuracy"]["by"] == "model":
        tried = any(p["defence_id"] == setting["defence_id"] for p in region["points"])
        not_tried = "" if tried else "; it was not trained, so that its figures are the model's"
        return f"chosen as {CHOSEN['space']}, by these figures, which are optimistic{not_tried}"
    return f"chosen as {CHOSEN[setting['basis']]}, by these figures, which are optimistic"


def _accuracy(region: RegionFile, setting: SettingEntry) -> str:
    clean, best, cost = setting["clean_accuracy"], setting["best_accuracy"], setting["cost"]
    text = f"clean accuracy {rate_words(clean)}"
    if best is None or cost is None:
        return text
    most_accurate = "the point that is best on validation images"
    if setting["clean_accuracy"]["by"] == "model":
        most_accurate = "the most accurate point that the model expects"
    if cost <= 0:
        return f"{text}; {most_accurate} has {best:.3f}: nothing is given up"
    clean_source = region["thresholds"]["clean_accuracy"]["best_source"]
    source = " by its clean baseline" if clean_source == "baseline" else ""
    given = f"{cost:.3f}" if cost >= LEAST_SHOWN else "less than 0.001"
    return f"{text}; it costs {given} against {most_accurate} ({best:.3f}{source})"


def _worst(region: RegionFile, setting: SettingEntry) -> str:
    worst = next(a for a in setting["attacks"] if a["label"] == setting["worst_attack"])
    success = rate_words(setting["attack_success"])
    above = _excess(region, setting["defence_id"], worst["attack_id"])
    return f"worst attack: {worst['label']}, success {success}{baseline_words(worst, above)}"


def _excess(region: RegionFile, defence_id: str, attack_id: str) -> float | None:
    """How far success lies above that of the clean baseline, where the threshold is about that."""
    attacks = [p["attacks"] for p in region["points"] if p["defence_id"] == defence_id]
    found = [attack for own in attacks for attack in own if attack["attack_id"] == attack_id]
    return found[0].get("excess") if found else None


def baseline_words(attack: AttackAtSetting, above: float | None = None) -> str:
    """How often clean models give the attacker's answer to the same images, where it is known.
    above: how far success lies above that, where the threshold is about it."""
    rate = attack["baseline_success"]
    if rate is None:
        return ""
    if above is None:
        return f"; clean models {rate:.3f}"
    return f"; {above:.3f} above its clean baseline ({rate:.3f})"


def rate_words(rate: LimitsEntry) -> str:
    """`0.934 (mean of 5 seeds; one new seed: 0.900 to 0.950 with 95 %)`."""
    of = "expected by the model"
    if rate["by"] == "seeds":
        of = f"mean of {counted(rate['seeds'] or 0, 'seed')}"
    if rate["lower"] is None or rate["upper"] is None:
        few = rate["seeds"] is not None and rate["seeds"] < 2
        why = "one seed says nothing of others" if few else "for one new seed not said"
        return f"{rate['value']:.3f} ({of}; {why})"
    missing = may_miss(rate)
    limits = f"{rate['lower']:.3f} to {rate['upper']:.3f} with {100 * rate['confidence']:g} %"
    return f"{rate['value']:.3f} ({of}; one new seed: {limits}{missing and f', {missing}'})"


def may_miss(rate: LimitsEntry) -> str:
    """`about 16 % of new seeds miss the threshold`; empty where that is rare or not known."""
    chance = rate.get("chance_to_miss")
    if chance is None or chance < RARE:
        return ""
    share = f"about {100 * chance:.2g} % of" if chance < ALMOST_ALL else "almost all"
    return f"{share} new seeds miss the threshold"


def _withstands(region: RegionFile, attacks: Sequence[AttackAtSetting]) -> list[str]:
    """Which attacks are shown to take and fail here, which are not shown to, and which do not fail.
    Where no attack is shown to take, other lines of the answer say so."""
    failing = [attack for attack in attacks if not attack["passes"]]
    not_withstood = [f"not withstood: {_named(failing)}"] if failing else []
    if not region.get("controls") or TAKES not in {attack["takes"] for attack in attacks}:
        return not_withstood
    passing = {
        state: [a for a in attacks if a["passes"] and a["takes"] == state]
        for state in (TAKES, *UNSHOWN)
    }
    lines = []
    if count := len(passing[TAKES]):
        shown = noun_for(count, "is shown to take", "are shown to take")
        of = f"{len(attacks) - len(failing):,} of {counted(len(attacks), 'attack')}"
        lines = [f"withstands {of}; {count:,} of these {shown} in this sweep"]
    for state, why in UNSHOWN.items():
        if left := passing[state]:
            lines.append(f"{NOT_SHOWN}, as {noun_for(len(left), *why)}: {_named(left)}")
    return [*lines, *not_withstood]


def _named(attacks: Sequence[AttackAtSetting]) -> str:
    more = f"; and {len(attacks) - NAMED:,} more" if len(attacks) > NAMED else ""
    return "; ".join(attack["label"] for attack in attacks[:NAMED]) + more


def margin_words(margin: float) -> str:
    """`margin 0.028 to the nearer threshold`. Where no digit of it is shown, that the point lies
    on a threshold."""
    if abs(margin) >= LEAST_SHOWN:
        return f"margin {margin:.3f} to the nearer threshold"
    return f"margin 0.000: {'almost ' if margin else ''}on the threshold"
