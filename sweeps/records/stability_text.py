"""How stable a region is, in words: the worst change of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.stability_entry import (
    ChangeKind,
    StabilityEntry,
    VerdictChange,
)

#: Bases of verdicts.
MEANS, BOUNDS = "means", "bounds"
#: What the lines are about.
STABILITY = "Stability, all points judged again after small changes:"
#: What a kind of change is called in a sentence.
WITH: dict[ChangeKind, str] = {
    "stricter": "with thresholds {step:g} stricter",
    "looser": "with thresholds {step:g} looser",
    "seed": "whichever seed is left out",
    "attack": "whichever attack is left out",
}


def stability_text(entry: StabilityEntry, by_model: bool = False) -> list[str]:
    """Lines for people; all but the first begin with two spaces. by_model: whether a model of all
    points recommends the recommended point."""
    bases = sorted(entry["inside"], key=lambda basis: basis == MEANS)
    lines = [
        *(
            f"by {basis}: {_of_basis(entry, basis)}"
            for basis in bases
            if basis == MEANS or _any_inside(entry, basis)
        ),
        *_decisive_attack(entry),
        *_recommended(entry, by_model),
        *([" ".join(entry["skipped"])] if entry["skipped"] else []),
    ]
    return [STABILITY, *(f"  {line}" for line in lines)]


def _any_inside(entry: StabilityEntry, basis: str) -> bool:
    """Whether any point is IN by this verdict, before or after a change."""
    after = (change["verdicts"].get(basis) for change in entry["changes"])
    return entry["inside"][basis] > 0 or any(found and found["come_in"] for found in after)


def _of_basis(entry: StabilityEntry, basis: str) -> str:
    found = {kind: _of_kind(entry, kind, basis) for kind in WITH}
    parts = [_stay(entry, basis, found), _come_in(entry, found)]
    return "; ".join(part for part in parts if part) + "."


def _of_kind(entry: StabilityEntry, kind: ChangeKind, basis: str) -> list[VerdictChange]:
    return [
        change["verdicts"][basis]
        for change in entry["changes"]
        if change["kind"] == kind and basis in change["verdicts"]
    ]


def _stay(
    entry: StabilityEntry, basis: str, found: Mapping[ChangeKind, Sequence[VerdictChange]]
) -> str:
    """Of the points that are IN, how many each kind of change leaves at least."""
    inside = entry["inside"][basis]
    if not inside:
        return "no point is IN"
    least = [
        (min(v["stay"] for v in verdicts), kind)
        for kind, verdicts in found.items()
        if verdicts and kind != "looser"
    ]
    told = [_kept(stay, inside, kind) + f" {_with(kind, entry)}" for stay, kind in least]
    if told:
        stays = noun_for(inside, "point stays", "points stay")
        told[0] = told[0].replace(f"of {inside}", f"of {inside} {stays} IN", 1)
    return ", ".join(told)


def _kept(stay: int, inside: int, kind: ChangeKind) -> str:
    """`9 of 12`, or `at least 9 of 12` where another change of this kind may leave more."""
    at_least = "at least " if 0 < stay < inside and kind != "stricter" else ""
    return f"{at_least}{stay} of {inside}"


def _come_in(entry: StabilityEntry, found: Mapping[ChangeKind, Sequence[VerdictChange]]) -> str:
    """How many points each kind of change lets in at most."""
    most = [
        (max((v["come_in"] for v in verdicts), default=0), kind) for kind, verdicts in found.items()
    ]
    told = [
        f"{'up to ' if kind in ('seed', 'attack') else ''}{count} {_with(kind, entry)}"
        for count, kind in most
        if count
    ]
    return f"come in: {', '.join(told)}" if told else "none comes in"


def _with(kind: ChangeKind, entry: StabilityEntry) -> str:
    return WITH[kind].format(step=entry["step"])


def _decisive_attack(entry: StabilityEntry) -> list[str]:
    """Which attack limits the region most, by means."""
    changes = [change for change in entry["changes"] if change["kind"] == "attack"]
    if not changes or not _any_inside(entry, MEANS):
        return []
    most = max(changes, key=lambda change: change["verdicts"][MEANS]["come_in"])
    if count := most["verdicts"][MEANS]["come_in"]:
        attack = most["label"].removeprefix("without a")
        are = noun_for(count, "point is", "points are")
        return [f"A{attack} limits the region most: without it {count} more {are} IN by means."]
    return ["No attack keeps a point out by itself: whichever is left out, none comes in by means."]


def _recommended(entry: StabilityEntry, by_model: bool) -> list[str]:
    """Where the recommended point is not IN any more, and how often it stays the recommended one.
    By bounds, where any point is IN by them: then it was chosen among those."""
    chosen, basis = entry["recommended"], BOUNDS if entry["inside"].get(BOUNDS) else MEANS
    judged = [change for change in entry["changes"] if basis in change["verdicts"]]
    if chosen is None or not judged:
        return []
    lost = [c["label"] for c in judged if not c["verdicts"][basis]["recommended_in"]]
    same = sum(change["recommended"] == chosen for change in judged)
    changes = counted(len(judged), "change")
    stays = f"stays IN by {basis} after each of {changes}"
    if lost:
        more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        stays = f"is not IN by {basis} after {len(lost)} of {changes} ({lost[0]}{more})"
    if by_model:
        return [
            f"The recommended point {stays}; the model, by which it is IN, is not fitted again."
        ]
    return [f"The recommended point {stays}; it remains the recommended one after {same}."]
