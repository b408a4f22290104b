"""Finished trials of other sweeps that a sweep takes over: they need not be trained again.

A trial is taken over where its id, its data, its engine and version, and the source code of users'
kinds agree, and where its row has all that this sweep records: every trigger of a clean baseline,
every epoch of the curve, every probe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backdoor.config import TrialConfig, measure_id
from backdoor.engines import engine_of
from backdoor.errors import Mistake, UserError
from backdoor.result import probe_id
from backdoor.settings.former_source_digest import former_source_digest
from backdoor.settings.source_digest import RULE, has_outside_kinds, source_digest
from backdoor.wording import counted
from sweeps.ledger import ATTACHED, FINISHED, Ledger, Rows, rows_of, with_found
from sweeps.packs.pack import PackSettings
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import LEARNED
from sweeps.storage.paths import SweepPaths, open_results, read_sweep


@dataclass
class ReusableSweep:
    """The finished trials of one other sweep. taken: how many were taken over; left_out: why
    others with an id of this sweep were not, and how many of each."""

    folder: Path
    sweep: SweepFile
    rows: Rows
    lacking: set[str]
    taken: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.index = {t: i for i, t in enumerate(self.rows["trial_id"].to_pylist())}

    @staticmethod
    def of(folder: Path | str, settings: PackSettings) -> ReusableSweep:
        """Reads a results folder."""
        paths = open_results(folder)
        ledger = Ledger(paths.ledger, keep=False)
        table = ledger.table()
        rows = table.filter([status == FINISHED for status in table["status"].to_pylist()])
        lacking = set[str]()
        if settings.probes:
            probes = [probe_id(probe.identity()) for probe in settings.probes]
            lacking = ledger.probe_results.lacking(rows["trial_id"].to_pylist(), probes)
            rows = ledger.probe_results.attach(rows)
        return ReusableSweep(Path(folder), read_sweep(paths), rows, lacking)

    def __str__(self) -> str:
        finished = counted(len(self.index), "finished trial")
        text = f"{self.taken:,} of the {finished} of {self.folder} taken over"
        reasons = [f"{count:,} {why}" for why, count in self.left_out.most_common()]
        others = len(self.index) - self.taken - sum(self.left_out.values())
        reasons += [f"{others:,} that this sweep does not ask for"] if others else []
        return f"{text}; left out: {'; '.join(reasons)}" if reasons else text


def check_reusable(folders: Sequence[Path | str], place: str = "--reuse") -> None:
    """`UserError` where one of them is no results folder."""
    wrong: list[Mistake] = []
    for folder in folders:
        try:
            read_sweep(open_results(folder))
        except UserError as error:
            wrong += [replace(mistake, place=place) for mistake in error.mistakes]
    if wrong:
        raise UserError(wrong)


class TrialPool:
    """Finished trials of other sweeps, by id.

    folders: their results folders. settings: of this sweep's packs. data_fingerprint: of its data.
    """

    def __init__(
        self, folders: Sequence[Path | str], settings: PackSettings, data_fingerprint: str
    ) -> None:
        self.sweeps = [ReusableSweep.of(folder, settings) for folder in folders]
        self._settings, self._data = settings, data_fingerprint
        self._measures = [measure_id(attack) for attack in settings.measures]

    def take(self, trials: Sequence[TrialConfig]) -> Rows | None:
        """Rows of those of the trials that are known, as this sweep records them; None without."""
        found: list[dict[str, Any]] = []
        for trial in trials:
            row = next(filter(None, (self._row(sweep, trial) for sweep in self.sweeps)), None)
            found += [] if row is None else [row]
        if not found:
            return None
        rows = rows_of(found)
        return with_found(rows, [row.get(ATTACHED) or [] for row in found])

    def _row(self, sweep: ReusableSweep, trial: TrialConfig) -> dict[str, Any] | None:
        place = sweep.index.get(trial.trial_id)
        if place is None:
            return None
        row: dict[str, Any] = sweep.rows.slice(place, 1).to_pylist()[0]
        why = self._disagreement(row, trial)
        if not why and trial.trial_id in sweep.lacking:
            why = "without a result of every probe"
        if why:
            sweep.left_out[why] += 1
            return None
        sweep.taken += 1
        known = row["reused_from"]
        # What a verification trained belongs to its sweep, and here to the search that asks.
        origin = sweep.sweep["sweep_id"] if not known or known.startswith(LEARNED) else known
        own = {"reused_from": origin, "foretold": None, "thresholds": None}
        return row | self._measured(row, trial) | own

    def _disagreement(self, row: Mapping[str, Any], trial: TrialConfig) -> str:
        """Why a trial cannot be taken over, as "3 ..."; empty where it can."""
        engine = engine_of(trial)
        made = f"{row['engine']} version {row['engine_version']}"
        if row["data_fingerprint"] != self._data:
            return "of other data"
        if made != f"{engine.name} version {engine.version}":
            return f"by engine {made}, which is now {engine.name} version {engine.version}"
        if has_outside_kinds(trial.canonical):
            known = row["source_digest"]
            rule = source_digest if (known or RULE).startswith(RULE) else former_source_digest
            now = rule(trial.canonical)
            if known is None or now is None:
                return "of kinds of users whose source code is not known"
            if known != now:
                return "of kinds of users whose source code has changed"
        if not self._epochs(trial) <= {point["epoch"] for point in row["curve"] or ()}:
            return "with another curve"
        measured = {each["measure_id"] for each in row["measurements"] or ()}
        if trial.attack is None and not measured >= set(self._measures):
            return "of clean baselines without some trigger"
        return ""

    def _epochs(self, trial: TrialConfig) -> set[int]:
        """The epochs at which this sweep evaluates a trial."""
        every = self._settings.curve_every
        if not every or not trial.defence.architecture.trained_by_epochs:
            return set()
        return set(range(every, trial.defence.epochs + 1, every))

    def _measured(self, row: Mapping[str, Any], trial: TrialConfig) -> dict[str, Any]:
        """The figures of the epochs and triggers that this sweep records, in its order."""
        epochs, curve = self._epochs(trial), row["curve"] or []
        kept = [point for point in curve if point["epoch"] in epochs]
        if trial.attack is not None:
            return {"curve": kept}
        place = {each["measure_id"]: i for i, each in enumerate(row["measurements"])}
        order = [place[measure] for measure in self._measures]
        return {
            "measurements": [row["measurements"][i] for i in order],
            "curve": [p | {"success": [p["success"][i] for i in order]} for p in kept],
        }


def open_pool(paths: SweepPaths, settings: PackSettings) -> tuple[TrialPool | None, list[str]]:
    """The sweeps that sweep.json says are taken over, and in words those that are gone."""
    sweep = read_sweep(paths)
    folders = sweep.get("reuse", [])
    there = [folder for folder in folders if SweepPaths(Path(folder)).sweep.is_file()]
    gone = [f"{folder} is no results folder any more" for folder in folders if folder not in there]
    if not there:
        return None, gone
    return TrialPool(there, settings, sweep["data_fingerprint"]), gone
