"""Whether the attacks of a panel take anywhere, in words: a line for each, and what follows.

region.json of earlier releases has no `controls`; of those nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.control_entry import (
    ERRORS,
    NOWHERE,
    PAIRED,
    POOLED,
    TAKES,
    UNKNOWN,
    ControlEntry,
)
from sweeps.records.region_file import RegionFile

NOTHING_YET = "So far the panel proves nothing: no attack of it takes at a point tried until now."
NOTHING = "The panel proves nothing: no attack of it takes at any tried point."
NOWHERE_AT_ALL = "no attack of the panel takes at any tried point"
#: Below a recommended point of such a panel.
ON_ACCURACY_ALONE = f"on accuracy alone: {NOWHERE_AT_ALL}"
NOT_SHOWN = "not shown to be resisted"
#: Of points of a search that trains each attack at some of them.
TRAINED = " trained with it"
#: What the clauses below the attacks mean, where points are compared one by one.
TAKES_MEANS = (
    "takes: succeeds above clean models, by a 95 % bound and a test corrected for the number of "
    "points"
)


def control_of(region: RegionFile, attack_id: str) -> ControlEntry | None:
    """The entry of an attack; None in files of earlier releases."""
    entries = region.get("controls", [])
    return next((entry for entry in entries if entry["attack_id"] == attack_id), None)


def panel_lines(region: RegionFile) -> list[str]:
    """The attacks, numbered from 1, each with whether it takes below it."""
    lines = []
    for number, attack in enumerate(region["panel"], 1):
        lines.append(f"  {number} {attack['label']}")
        if (control := control_of(region, attack["attack_id"])) is not None:
            lines.append(f"    {control_line(control)}")
    by_point = any(entry["basis"] == PAIRED for entry in region.get("controls", []))
    return [*lines, *([f"  ({TAKES_MEANS})"] if by_point else [])]


def control_line(control: ControlEntry) -> str:
    """One attack, as a clause that begins with a small letter."""
    if control["state"] == UNKNOWN:
        return f"not known whether it takes: {control['why']}{_left_out(control)}"
    points, pooled = counted(control["compared"], "point"), control["basis"] == POOLED
    points += TRAINED * (control["basis"] == ERRORS)
    above = f"{round(control['excess'] or 0, 2) + 0.0:.2f} above {_reference(control)}"
    if control["state"] == TAKES:
        where = f"on average over {points}" if pooled else f"at {control['takes_at']:,} of {points}"
        upto = "" if pooled else "up to "
        return f"takes {where}, success {upto}{above}{_left_out(control)}"
    where = f"does not take on average over {points}" if pooled else f"takes at none of {points}"
    return f"{NOT_SHOWN}: it {where} ({above}{_at_most(control)}){_left_out(control)}"


def _at_most(control: ControlEntry) -> str:
    """Where that is, and by how many seeds it is shown."""
    where = "" if control["basis"] == POOLED else " at the point where it is clearest"
    return f"{where}, by {counted(control['seeds'], 'seed')}"


def _reference(control: ControlEntry) -> str:
    """What success is compared with."""
    if control["basis"] == ERRORS:
        return "the model's own errors, as no clean baseline is trained"
    return "clean"


def _left_out(control: ControlEntry) -> str:
    """Models that say nothing, of those whose number is not the reason already."""
    parts = [
        counted(count, one, many)
        for count, one, many in (
            (control["broken"], "collapsed or diverged model", "collapsed or diverged models"),
            (
                control["broken_baselines"],
                "collapsed or diverged clean baseline",
                "collapsed or diverged clean baselines",
            ),
            (control["stopped"], "stopped trial", "stopped trials"),
        )
        if count
    ]
    if not parts or (control["state"] == UNKNOWN and not control["compared"]):
        return ""
    return f" (left out: {', '.join(parts)})"


# --- the panel as a whole ----------------------------------------------------------------------


def takes_nowhere(region: RegionFile) -> bool:
    """Whether it is known that no attack takes at any tried point: what is IN then keeps its
    accuracy, and resists nothing that is known to work. False of files of earlier releases."""
    states = [entry["state"] for entry in region.get("controls", [])]
    return bool(states and region["points"]) and set(states) == {NOWHERE}


def on_accuracy_alone(region: RegionFile) -> list[str]:
    """A line to stand below the recommended point, where that is all that it is chosen by."""
    return [ON_ACCURACY_ALONE] if takes_nowhere(region) else []


def control_answer(region: RegionFile) -> list[str]:
    """A sentence for the answer where no attack is known to take; none where one is, and where
    nothing has been tried."""
    states = [entry["state"] for entry in region.get("controls", [])]
    if not states or TAKES in states or not region["points"]:
        return []
    if UNKNOWN not in states:
        state = region.get("state")
        return [NOTHING if state is None or state["state"] == "finished" else NOTHING_YET]
    return [
        "It is not known whether the panel proves anything: no attack of it is shown to take at a "
        "tried point."
    ]


def control_warning(region: RegionFile) -> str | None:
    """One line before a claim is used that rests on attacks which are not shown to take; None where
    all of them are, and of files of earlier releases."""
    controls = region.get("controls", [])
    if whole := control_answer(region):
        return f"warning: {whole[0]}"
    parts = [
        f"{_attacks(numbers)} of the panel {noun_for(len(numbers), *said)}"
        for state, said in _SAID.items()
        if (numbers := [n for n, entry in enumerate(controls, 1) if entry["state"] == state])
    ]
    return f"warning: {'; '.join(parts)}" if parts and region["points"] else None


_SAID = {
    NOWHERE: (
        f"takes at no tried point: it is {NOT_SHOWN}",
        f"take at no tried point: {NOT_SHOWN}",
    ),
    UNKNOWN: ("is not known to take anywhere", "are not known to take anywhere"),
}


def _attacks(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"attacks {', '.join(first)} and {last}" if first else f"attack {last}"


def control_summary(region: RegionFile) -> dict[str, list[str]]:
    """State to the labels of its attacks, of those states that there are."""
    labels = {attack["attack_id"]: attack["label"] for attack in region["panel"]}
    found: dict[str, list[str]] = {}
    for entry in region.get("controls", []):
        found.setdefault(entry["state"], []).append(labels[entry["attack_id"]])
    return found
