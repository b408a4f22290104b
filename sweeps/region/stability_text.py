"""How stable a region is, in words: the worst change of each kind."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.stability_entry import (
    ChangeKind,
    StabilityChange,
    StabilityEntry,
    VerdictChange,
)

#: What a kind of change is called in a sentence.
WITH: dict[ChangeKind, str] = {
    "stricter": "with thresholds {step} stricter",
    "looser": "with thresholds {step} looser",
    "seed": "without any one seed",
    "attack": "without any one attack",
}


def stability_text(entry: StabilityEntry) -> list[str]:
    """Lines for people; all but the first begin with two spaces."""
    first, *others = [line for basis in entry["inside"] if (line := _of_basis(entry, basis))]
    lines = [*others, *_attack_that_decides(entry), *_recommended(entry), *entry["skipped"]]
    return [f"Stability: {first}", *(f"  {line}" for line in lines)]


def _of_basis(entry: StabilityEntry, basis: str) -> str:
    """Empty where no point is IN by this verdict, neither before nor after a change; by means it is
    said all the same, since they are never missing."""
    inside = entry["inside"][basis]
    found = {kind: _of_kind(entry, kind, basis) for kind in WITH}
    more = _more(found, entry["step"])
    if not inside:
        if not more and basis != "means":
            return ""
        return f"no point is IN by {basis}" + (f"; {more}." if more else ", and none comes in.")
    kept = [
        f"{_at_least(verdicts, kind)} {WITH[kind].format(step=entry['step'])}"
        for kind, verdicts in found.items()
        if verdicts and kind != "looser"
    ]
    points = f"of {counted(inside, 'point')} IN by {basis}"
    stay = f", {_listed(kept)} {'stay' if inside > 1 else 'stays'} IN" if kept else ""
    return f"{points}{stay}" + (f"; {more}." if more else ".")


def _of_kind(entry: StabilityEntry, kind: ChangeKind, basis: str) -> list[VerdictChange]:
    return [
        change["verdicts"][basis]
        for change in entry["changes"]
        if change["kind"] == kind and basis in change["verdicts"]
    ]


def _at_least(verdicts: Sequence[VerdictChange], kind: ChangeKind) -> str:
    """`9`, `at least 9`, or `all 12`."""
    stay, inside = min(v["stay"] for v in verdicts), verdicts[0]["stay"] + verdicts[0]["left"]
    if stay == inside:
        return f"all {inside}" if inside > 1 else "it"
    at_least = "at least " if kind != "stricter" and stay else ""
    return f"{at_least}{stay or 'none'}"


def _more(found: dict[ChangeKind, list[VerdictChange]], step: float) -> str:
    """How many points come in, for kinds with which any does."""
    most = {kind: max((v["come_in"] for v in verdicts), default=0) for kind, verdicts in found.items()}
    told = [
        f"{'up to ' * (kind in ('seed', 'attack'))}{count} {WITH[kind].format(step=step)}"
        for kind, count in most.items()
        if count
    ]
    return f"{_listed(told)} come in" if told else ""


def _attack_that_decides(entry: StabilityEntry) -> list[str]:
    """On which attack the region depends, by means."""
    changes = [c for c in entry["changes"] if c["kind"] == "attack" and "means" in c["verdicts"]]
    if not changes:
        return []
    worst = max(changes, key=lambda change: change["verdicts"]["means"]["come_in"])
    if count := worst["verdicts"]["means"]["come_in"]:
        are = noun_for(count, "point is", "points are")
        return [f"The region depends most on one attack: {worst['label']} {count} more {are} IN."]
    return ["No attack alone keeps a point out: without any one of them no other point is IN."]


def _recommended(entry: StabilityEntry) -> list[str]:
    """Where the recommended point is not IN any more, and how often it stays recommended."""
    chosen, changes = entry["recommended"], entry["changes"]
    if chosen is None:
        return []
    judged = [change for change in changes if "means" in change["verdicts"]]
    lost = [c["label"] for c in judged if not c["verdicts"]["means"]["recommended_in"]]
    known = [change for change in judged if _is_known(entry, change)]
    same = sum(change["recommended"] == chosen for change in known)
    after = counted(len(judged), "change")
    stays = f"stays IN by means after all of {after}"
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        stays = f"is not IN by means after {len(lost)} of {after} ({lost[0]}{more})"
    return [f"The recommended point {stays}; after {same} of {len(known)} it is recommended still."]


def _is_known(entry: StabilityEntry, change: StabilityChange) -> bool:
    """Whether it is known which point would be recommended after it."""
    return change["recommended"] is not None or not any(
        verdicts["stay"] + verdicts["come_in"] for verdicts in change["verdicts"].values()
    )


def _listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last
