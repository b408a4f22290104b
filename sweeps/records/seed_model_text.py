"""What the model of all points together says, and what so few seeds cannot exclude, in words."""

from __future__ import annotations

from backdoor.wording import counted, noun_for
from sweeps.records.region_file import RegionFile
from sweeps.records.seed_model_entry import ModesEntry, SeedModelEntry


def seed_model_lines(region: RegionFile) -> list[str]:
    """Sentences; none of a file of before."""
    entry, counts = region.get("seed_model"), region["counts"].get("by_model")
    if entry is None or counts is None:
        return []
    seeds = max((point["seeds"] for point in region["points"]), default=0)
    confidence = f"{100 * region['thresholds']['confidence']:g} %"
    return [
        *_verdicts(entry, counts, confidence),
        *_two_modes(entry, seeds),
        *_not_excluded(entry, seeds, confidence),
    ]


def _verdicts(entry: SeedModelEntry, counts: dict[str, int], confidence: str) -> list[str]:
    """Why no model judges, or what its verdicts claim and which points it leaves undecided."""
    if not entry["used"]:
        return [f"No model of all points together: {entry['why']}."] if entry["why"] else []
    odd, left = entry["odd"], entry["left_out"]
    strange = f" At {counted(odd, 'point')} seeds differ too much to judge." if odd else ""
    unjudged = f" {counted(left, 'complete point')} {noun_for(left, 'is', 'are')} not judged."
    return [
        f"The model of all points finds {counts['IN']:,} IN and {counts['OUT']:,} OUT, and leaves "
        f"{counts['UNDECIDED']:,} undecided.{_at_once(counts, confidence)}"
        f"{strange}{unjudged if left else ''}"
    ]


def _at_once(counts: dict[str, int], confidence: str) -> str:
    """What several verdicts claim together, and why P(inside) of each says more."""
    if max(counts["IN"], counts["OUT"]) < 2:
        return ""
    return (
        f" With {confidence} all of its IN hold at once, and likewise all of its OUT; each verdict "
        "by itself is more certain than that."
    )


def _two_modes(entry: SeedModelEntry, seeds: int) -> list[str]:
    of = {"clean accuracy": entry["modes_clean"], "attack success": entry["modes_success"]}
    found = [f"{name} ({_statistic(modes)})" for name, modes in of.items() if modes["fired"]]
    if not found:
        return []
    fewest = entry["fewest_seeds"]
    few = f" With fewer than {fewest} seeds nothing is certainly IN." if seeds < fewest else ""
    return [
        f"Seeds have two modes in {' and in '.join(found)}: a training goes one way or the other "
        f"by chance, so that bounds hold for any distribution.{few}"
    ]


def _statistic(modes: ModesEntry) -> str:
    return f"test statistic {modes['distance']:.2f}, above {modes['critical']:g}"


def _not_excluded(entry: SeedModelEntry, seeds: int, confidence: str) -> list[str]:
    if not 0 < seeds < entry["fewest_seeds"]:
        return []
    resisted = f"all {seeds} seeds resisted" if seeds > 1 else "the only seed resisted"
    fewest, share = entry["fewest_seeds"], entry["taking_share"]
    # The share that n seeds leave open is 1 - (1 - confidence)^(1/n).
    left = 1 - (1 - share) ** (seeds / fewest)
    return [
        "The verdicts above assume that an attack works about equally well with all seeds. If it "
        f"works with some and not at all with others, up to {100 * share:.0f} % of all seeds may "
        f"be vulnerable although {resisted} ({confidence}); with {fewest} seeds, up to "
        f"{100 * left:.0f} %."
    ]
