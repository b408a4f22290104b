"""The answer that MLflow shows: region.json, where it is of all that the folder holds now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from backdoor.errors import BackdoorSweepsError
from sweeps.ledger import Ledger
from sweeps.records.region_file import RegionFile
from sweeps.results.update_region import update_region
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_region


def written_answer(paths: SweepPaths) -> RegionFile | None:
    """region.json where it is not older than anything that it follows from, so that nothing is
    judged twice; None elsewhere, and where an earlier release wrote it."""
    with contextlib.suppress(OSError, BackdoorSweepsError):
        written = paths.region.stat().st_mtime_ns
        ledger = Ledger(paths.ledger, keep=False)
        if any(file.stat().st_mtime_ns > written for file in _sources(paths, ledger)):
            return None
        region = read_region(paths.root)
        counts = region["trials"]["finished"], region["trials"]["failed"]
        # Some file systems keep times by the second.
        if "headline" in region and counts == (len(ledger.finished), len(ledger.failed)):
            return region
    return None


def current_answer(paths: SweepPaths, trust_file: bool) -> RegionFile:
    """The answer as the folder is now; region.json is brought up to date on the way.

    trust_file: whether a region.json that seems to be current is read instead: for those who know
    that the folder's times are those of its files, and not of a copy.

    Raises:
        UserError: spec.yaml was changed by hand.
    """
    found = written_answer(paths) if trust_file else None
    # With a ledger of its own: one that is open counts what was there when it was opened.
    return update_region(paths) if found is None else found


def answer_if_any(paths: SweepPaths, trust_file: bool) -> RegionFile | None:
    """The same; None where the folder does not say what it asks, as some of before: MLflow then
    shows its trials all the same."""
    with contextlib.suppress(BackdoorSweepsError):
        return current_answer(paths, trust_file)
    return None


def _sources(paths: SweepPaths, ledger: Ledger) -> Iterator[Path]:
    """All that the answer follows from; a verification without an answer is said by its trainings,
    and one that was fed back by verification.json."""
    yield paths.sweep
    yield from ledger.files()
    if paths.verification.is_file():
        yield paths.verification
    for folder in map(VerificationPaths, paths.verifications.glob("*")):
        if folder.answer.is_file():
            yield folder.answer
        elif folder.plan.is_file():
            yield from (folder.plan, *folder.ledger.glob("*.parquet"))
