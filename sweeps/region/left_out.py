"""Which broken models the best accuracy leaves out, as region.json has it and in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.region_file import LeftOutEntry
from sweeps.region.best_accuracy import BASELINE, PANEL
from sweeps.region.points import Point

#: Points that are named in the sentence.
NAMED = 3


def left_out(points: Iterable[Point]) -> list[LeftOutEntry]:
    """The points whose accuracy is known by a panel or by a clean baseline with broken models."""
    return [entry for point in points if (entry := _entry(point)) is not None]


def _entry(point: Point) -> LeftOutEntry | None:
    """None where the point has no say, or nothing is broken that has."""
    if point.complete:
        seeds = set(next(iter(point.figures.values())).clean)
        rows = [r for r in point.rows if r.attack_id in point.figures and r.seed in seeds]
    elif point.stopped and (point.stand_in or all(row.broken for row in point.baseline)):
        rows = point.baseline
    else:
        return None
    broken = [row for row in rows if row.broken]
    if not broken:
        return None
    return {
        "defence_id": point.defence_id,
        "source": PANEL if point.complete else BASELINE,
        "models": len(broken),
        "seeds": sorted({row.seed for row in broken}),
        "reference": point.reference is not None,
    }


def left_out_words(entries: Sequence[LeftOutEntry], labels: Mapping[str, str]) -> list[str]:
    """A sentence for region.json's `doubts`; none where nothing is left out. labels: of points, by
    id."""
    if not entries:
        return []
    models = sum(entry["models"] for entry in entries)
    named = "; ".join(_named(entry, labels) for entry in entries[:NAMED])
    more = f"; and {counted(len(entries) - NAMED, 'more point')}" if len(entries) > NAMED else ""
    return [
        f"The best accuracy leaves out {counted(models, 'broken model')} of "
        f"{counted(len(entries), 'defence point')} ({named}{more}): a seed with which one is "
        "broken is left out for all attacks of that point, and an attack that is broken with every "
        f"seed does not count there.{_without(entries)}",
    ]


def _named(entry: LeftOutEntry, labels: Mapping[str, str]) -> str:
    seeds = entry["seeds"]
    numbers = ", ".join(map(str, seeds))
    whose = " of the clean baseline" if entry["source"] == BASELINE else ""
    return (
        f"{labels[entry['defence_id']]}: {noun_for(len(seeds), 'seed', 'seeds')} {numbers}{whose}"
    )


def _without(entries: Sequence[LeftOutEntry]) -> str:
    count = sum(not entry["reference"] for entry in entries)
    points = counted(count, "of these points has", "of these points have")
    return f" {points} no seed left, and cannot be the most accurate." if count else ""
