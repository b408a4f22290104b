"""What a results folder that an earlier release began does not say, in a sentence."""

from __future__ import annotations

from sweeps.records.sweep_file import SweepFile

#: Keys of sweep.json that came later, and what they say.
LATER = {
    "data": "what was read of the data",
    "planned_points": "how many points the search was to try",
    "specs": "which specs it has had",
    "user": "who began it",
}


def folder_lacks(sweep: SweepFile) -> list[str]:
    """One sentence; none of a folder that this release could have begun."""
    lacking = [what for key, what in LATER.items() if key not in sweep]
    if not lacking:
        return []
    return [f"An earlier release began this sweep; its folder does not say {_listed(lacking)}."]


def _listed(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
