"""What `sweeps status` advises after a sweep that has ended, by how its region stands with fresh
trainings and by the strongest claim that holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.cli.status_more_draws import more_draws
from sweeps.cli.status_standing import NOT_YET, VerificationCount
from sweeps.records.control_entry import UNKNOWN
from sweeps.records.control_text import NOWHERE_AT_ALL
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.records.region_file import RegionFile

#: A command to type, None where there is none, and what it does.
Next = tuple[str | None, str]

#: Seeds from which more of them are no longer advised first, and the fewest that are advised.
ENOUGH_SEEDS, FEWEST_SEEDS = 10, 5
#: How a verification that was interrupted goes on.
SAME_COMMAND = "the same `sweeps verify` command as before goes on with it"
#: The basis that tries to prove a claim of a sweep of points. Means are the default.
BASES = {"certain": ("--basis", "bounds"), "likely": ("--basis", "model")}
#: Why a verification is asked for again, by how the region stands.
AGAIN = {
    "stale": "verifies again, since the region has changed",
    "used up": "verifies again, since the trainings were fed back into the search",
}
#: What is to be proven, by the claim of a sweep of points.
PROVEN = {"certain": "what is certainly IN", "likely": "what is IN by model"}


def more_seeds(region: RegionFile) -> int | None:
    """How many seeds would help where points are IN by means, few seeds were trained, bounds decide
    no point, and the model of all points finds none IN; None elsewhere."""
    bounds, means = region["counts"]["by_bounds"], region["counts"]["by_means"]
    seeds = max((point["seeds"] for point in region["points"]), default=0)
    if "model" in region or not means["IN"] or bounds["IN"] or bounds["OUT"] or by_model(region):
        return None
    return max(FEWEST_SEEDS, 2 * seeds) if 0 < seeds < ENOUGH_SEEDS else None


def by_model(region: RegionFile) -> int:
    """How many points are IN by the model of all points together; none in a file of before."""
    return region["counts"].get("by_model", {}).get("IN", 0)


def stronger_attacks(folder: Path) -> Next:
    """Where no attack takes anywhere, nothing that rests on this panel is about backdoors."""
    extend = f"{command('sweeps', 'extend', folder)} --set 'attack.poison_rate=[...]'"
    return None, (
        f"stronger attacks: {extend}, higher rates besides those of now, or another trigger "
        f"({NOWHERE_AT_ALL})"
    )


def panel_not_known(region: RegionFile) -> str | None:
    """What to do where no attack is known to take and nothing tells, which a verification cannot
    tell either; None elsewhere."""
    unknown = [entry for entry in region.get("controls", []) if entry["state"] == UNKNOWN]
    if not unknown or len(unknown) < len(region["panel"]):
        return None
    return f"first whether the panel takes at all, which is not known: {unknown[0]['why']}"


def next_by_standing(folder: Path, region: RegionFile, found: VerificationCount | None) -> Next:
    """After a sweep with a recommended setting, whose panel takes somewhere. found: how its region
    stands, None where nobody has verified it."""
    state = NOT_YET if found is None else found["state"]
    if state == "verified":
        return command("sweeps", "train", folder), "trains a model at the recommended point"
    if state == "unfinished":
        return None, SAME_COMMAND
    if found is not None and state == "failed":
        return None, _after_failing(folder, region, found)
    if found is not None and state == "too few":
        return more_draws(folder, region, found)
    if (seeds := more_seeds(region)) is not None:
        extend = command("sweeps", "extend", folder, "--set", f"seeds={seeds}")
        return extend, "more seeds: by bounds no point is decided yet"
    return _verify(folder, region, state)


def _verify(folder: Path, region: RegionFile, state: str) -> Next:
    """By the strongest claim; a region search is verified by its own model."""
    claim = "" if "model" in region else claim_of(region)
    proven = f"tries to prove {PROVEN.get(claim, 'the region')} with fresh seeds"
    why = f"{AGAIN[state]}: {proven}" if state in AGAIN else proven
    return command("sweeps", "verify", folder, *BASES.get(claim, ())), why


def claim_of(region: RegionFile) -> str:
    """The claim of the headline; in a file of before, which has none, by the counts."""
    if (headline := region.get("headline")) is not None:
        return headline["claim"]
    if region["counts"]["by_bounds"]["IN"]:
        return "certain"
    return "likely" if by_model(region) else "means"


def _after_failing(folder: Path, region: RegionFile, found: VerificationCount) -> str:
    """Draws failed: the region is not as large as it was said to be, or nobody knows it enough."""
    extend = command("sweeps", "extend", folder, "--set")
    easier = f"`{extend} region.attack_success=X` (a higher X) asks for less"
    if "model" in region and found["verification_id"] is not None:
        learn = command("sweeps", "verify", folder, "--learn", found["verification_id"])
        return (
            f"draws did not pass: `{learn}` feeds these trainings back into the search, or "
            f"{easier}; then verify again"
        )
    if "model" in region:
        return f"draws did not pass: {easier}; then verify again"
    known = more_seeds(region)
    seeds = f"`{extend} seeds=N` (more than now)" if known is None else f"`{extend} seeds={known}`"
    surely = f"{seeds} judges the points more surely"
    return f"draws did not pass: {surely}, and {easier}; then verify again"
