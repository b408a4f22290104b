"""How far a sweep is: running, stopped before its end, or finished."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Literal

from sweeps.ledger import Ledger
from sweeps.ledger.outdated_trials import outdated_trials
from sweeps.records.answer_entry import StateEntry
from sweeps.records.region_file import RegionFile
from sweeps.records.state_text import state_entry
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import TrialRow
from sweeps.storage.files import lock_holder
from sweeps.storage.paths import SweepPaths


def state_of(
    paths: SweepPaths,
    sweep: SweepFile,
    region: RegionFile,
    ledger: Ledger,
    finished: bool | None = None,
) -> StateEntry:
    """The state of the folder now. finished: whether the run that asks has trained everything, None
    where another command asks: then the folder's lock, its trials and its files tell."""
    trials, at_most = region["trials"], may_end_early(sweep)
    ended = trials["finished"] + (trials.get("stopped") or 0) + trials["failed"]
    whole = trials["planned"] is not None and ended >= trials["planned"]
    model = region.get("model")
    why = model["stopped_by"] if model is not None else None
    planned = sweep.get("planned_points")
    points = None if planned is None else (len(region["points"]), planned)
    if finished is None:
        whole = whole and not outdated_trials(ledger, sweep)
        done = whole or why is not None or (at_most and ended_early(paths, region, ledger.trials()))
        running = lock_holder(paths.lock) is not None
        return state_entry(trials, "running" if running else _after(done), at_most, why, points)
    return state_entry(trials, _after(finished), at_most, why, points)


def _after(done: bool) -> Literal["finished", "stopped"]:
    return "finished" if done else "stopped"


def may_end_early(sweep: SweepFile) -> bool:
    """Whether the search may end before all planned trials. Folders of earlier releases do not say
    so, and theirs might."""
    return sweep.get("planned_points") is None


def ended_early(paths: SweepPaths, region: RegionFile, trials: Sequence[TrialRow]) -> bool:
    """Whether an adaptive search without a model has ended before all planned trials: the file of
    the run that ended it says so of the same trials. Before version 2 it did not; there a run that
    is not interrupted ends with the map, which `sweeps region` does not write."""
    if not trials:
        return False
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        before = json.loads(paths.region.read_bytes())
        if before["trials"] == region["trials"]:
            return bool(before["state"]["state"] == "finished")
    last = max(trial.finished_at for trial in trials)
    return paths.map.is_file() and paths.map.stat().st_mtime >= last
