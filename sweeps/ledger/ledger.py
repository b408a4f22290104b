"""The ledger of a folder: appended to by one process, read by any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backdoor.errors import Mistake, StoredDataError
from backdoor.result import probe_id
from sweeps.ledger.files import read_table, version_of, write_table
from sweeps.ledger.flat import column_of, flat_rows
from sweeps.ledger.flat_probe_results import ProbeTable, flat_probe_results, probe_tables
from sweeps.ledger.probe_results import ProbeResults, detached
from sweeps.ledger.schema import (
    FINISHED,
    READABLE_VERSIONS,
    SCHEMA,
    SCHEMA_VERSION,
    STOPPED,
)
from sweeps.records.trial_row import TrialRow
from sweeps.storage.files import sync_folder
from sweeps.storage.paths import open_results, read_sweep

if TYPE_CHECKING:
    from backdoor.probes import Probe

#: Parts are folded into one file when there are more of them than this.
COMPACT_AT = 64


class Ledger:
    """The ledger in a folder. One process writes (`sweeps.storage.locked`), any may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: set[str] = set()
        self.stopped: set[str] = set()
        self.failed: set[str] = set()
        self._numerics: dict[str, Any] = {}
        self.studies = ProbeResults(folder / "probes")
        self._recent: dict[Path, pa.Table] = {}  # parts written since the last fold
        table = self.table()
        self._refuse_mixture(table)
        self._note(table)

    @property
    def ended(self) -> set[str]:
        """Trials that are not to be trained again: finished, or stopped by a rule."""
        return self.finished | self.stopped

    def unstudied(self, probes: Sequence[Probe]) -> list[dict[str, Any]]:
        """Configurations of finished trials that some probe has not studied, or failed on."""
        lacking = self.studies.lacking(self.finished, [probe_id(p.identity()) for p in probes])
        if not lacking:
            return []
        table = self.table().select(["trial_id", "config"])
        pairs = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        return [json.loads(config) for trial_id, config in pairs if trial_id in lacking]

    # --- writing ---------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> pa.Table:
        """Records the rows that are new, durably, and returns them.

        A finished trial is never recorded again, and a stopped one only if it has finished after
        all; one that failed is, whenever it is tried again. Studies that travel with the rows are
        recorded before them, also those of trials that are known: a probe may come later.
        """
        rows, studies = detached(rows)
        if studies.num_rows:
            self._refuse_mixture(rows)
            self.studies.append(studies)
        fresh = self._fresh(rows)
        if not fresh.num_rows:
            return fresh
        self._refuse_mixture(fresh)
        self._recent[self._write("part", fresh)] = fresh  # written first: no rows without a file
        self._note(fresh)
        if len(self._recent) > COMPACT_AT:
            self._compact_newest()
        return fresh

    def compact(self) -> None:
        """Rewrites all files as one. Killed halfway, it leaves rows twice, never rows lost."""
        self._compact(self.files())
        self.studies.compact()

    def _compact_newest(self) -> None:
        """Rewrites all parts as one file, with the folds before them that are no larger.

        So files stay few, and a row is rewritten as often as the logarithm of their number, not
        as often as there are folds. Those that stay behind are older than the new one.
        """
        taken = self.parts()
        rows = sum(table.num_rows for table in self._recent.values())
        for file in reversed(self._compacted()):
            if (more := pq.read_metadata(file.absolute()).num_rows) > rows:
                break
            taken, rows = [file, *taken], rows + more
        self._compact(taken)

    def _compact(self, files: list[Path]) -> None:
        known, self._recent = self._recent, {}
        if len(files) < 2:
            return
        tables = [known[file] if file in known else self._read(file) for file in files]
        self._write("fold", _one_row_a_trial(pa.concat_tables(tables)))
        for file in files:
            file.unlink(missing_ok=True)
        sync_folder(self.folder)
        # Else Arrow keeps what a fold took at its height, and the driver grows with the sweep.
        pa.default_memory_pool().release_unused()

    def _fresh(self, rows: pa.Table) -> pa.Table:
        seen: set[str] = set()
        keep = []
        columns = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        for trial_id, status in zip(*columns, strict=True):
            known = self.finished if status == FINISHED else self.ended
            keep.append(trial_id not in known and trial_id not in seen)
            if status == FINISHED:
                seen.add(trial_id)
        return rows if all(keep) else rows.filter(pa.array(keep, pa.bool_()))

    def _note(self, rows: pa.Table) -> None:
        """Remembers ids and statuses of rows that are on disk."""
        columns = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        sets = {FINISHED: self.finished, STOPPED: self.stopped}
        for trial_id, status in zip(*columns, strict=True):
            sets.get(status, self.failed).add(trial_id)
        self.stopped -= self.finished
        self.failed -= self.ended

    def _refuse_mixture(self, rows: pa.Table) -> None:
        names = ["data_fingerprint", "engine", "engine_version"]
        for data, engine, engine_version in _distinct(rows, names):
            if engine is None:
                continue
            for name, value in {"data": data, engine: engine_version}.items():
                known = self._numerics.setdefault(name, value)
                if known != value:
                    rule = f"all rows must be made with {name} {known}"
                    remedy = "Results of other data or numerics do not mix: use a new folder."
                    raise StoredDataError(Mistake(str(self.folder), rule, value, remedy))

    def _write(self, word: str, table: pa.Table) -> Path:
        return write_table(self.folder, word, table, SCHEMA)

    # --- reading ---------------------------------------------------------------------------

    def files(self) -> list[Path]:
        """Whole files, folds first, then parts by age. Unfinished ones begin with a dot.

        Parts are listed before folds: a fold that ends in between is then seen, not missed."""
        parts = self.parts()
        return self._compacted() + parts

    def _compacted(self) -> list[Path]:
        return sorted(self.folder.glob("fold-*.parquet"))

    def parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def table(self) -> pa.Table:
        """One row a trial, as of some moment during the call."""
        while True:
            try:
                tables = [SCHEMA.empty_table(), *(self._read(file) for file in self.files())]
            except FileNotFoundError:
                continue  # folded by its writer since it was listed: the fold has its rows
            return _one_row_a_trial(pa.concat_tables(tables))

    def trials(self) -> list[TrialRow]:
        """One row a trial."""
        return trial_rows(self.table())

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a trial by column, `config` as plain values; for those who want plain
        values: the project itself reads `trials`."""
        rows: list[dict[str, Any]] = self.table().to_pylist()
        for row in rows:
            row["config"] = json.loads(row["config"])
        return rows

    def _read(self, file: Path) -> pa.Table:
        table = read_table(file, READABLE_VERSIONS)
        return table.cast(SCHEMA) if version_of(table) == SCHEMA_VERSION else _brought_up(table)


def trial_rows(table: pa.Table) -> list[TrialRow]:
    """Rows of the ledger's table as records."""
    return [TrialRow.of(row) for row in table.to_pylist()]


def _brought_up(table: pa.Table) -> pa.Table:
    """Rows of an older version; what they lack is null. Folding writes them in this version."""
    return pa.Table.from_pylist(table.to_pylist(), schema=SCHEMA)


def _distinct(rows: pa.Table, names: list[str]) -> set[tuple[Any, ...]]:
    """The combinations of values in these columns."""
    if rows.num_rows > COMPACT_AT:  # below that, Arrow's set-up costs more than it saves
        rows = rows.select(names).group_by(names).aggregate([])
    return set(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _one_row_a_trial(table: pa.Table) -> pa.Table:
    if not table.num_rows:
        return table
    rows = pa.array(range(table.num_rows), pa.int64())
    finished, stopped = (pc.equal(table["status"], word) for word in (FINISHED, STOPPED))
    latest_first = pc.subtract(3 * table.num_rows, rows)
    rank = pc.if_else(stopped, pc.add(table.num_rows, rows), latest_first)
    rank = pc.if_else(finished, rows, rank)
    order = pa.table({"trial_id": table["trial_id"], "row": rows, "rank": rank}).sort_by("rank")
    first = order.group_by("trial_id", use_threads=False).aggregate([("row", "first")])
    return table.take(first["row_first"].combine_chunks().sort())


def load_results(folder: Path | str, probe: str | None = None) -> pa.Table:
    """A sweep as one flat table, a row a measurement; `.to_pandas()` gives a data frame.

    Columns: `trial_id`, `defence_id`, `attack_id`, `measure_id`, `seed`, `status`, the factors by
    dotted name, counts, and the fractions `clean_accuracy`, `validation_accuracy`,
    `attack_success` and `robust_accuracy` in [0, 1]. A clean baseline has a row for every trigger
    that it was measured with, at `attack.poison_rate` 0; `attack.trigger` then names the trigger
    measured. A failed or stopped trial has one row, without figures. A factor of which some values
    are numbers and others words (`gamma: [scale, 0.1]`) is a column of words.

    With `probe`, the name of a kind or `all`, what it found instead, a row a point of a study:
    `trial_id`, the factors, `probe`, its settings as `probe.NAME`, the study's own columns, and
    `baseline_NAME`, the same figure of the clean model of equal defence point and seed.
    """
    paths = open_results(folder)
    measured, ledger = read_sweep(paths).get("measures", {}), Ledger(paths.ledger)
    if probe is None:
        flat = [row for trial in ledger.rows() for row in flat_rows(trial, measured)]
    else:
        studies = ledger.studies.table().to_pylist()
        flat = [
            row
            for row in flat_probe_results(ledger.rows(), studies, measured)
            if probe in ("all", row["probe"])
        ]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return pa.table({name: column_of([row.get(name) for row in flat]) for name in names})


def load_probe_results(folder: Path | str) -> list[ProbeTable]:
    """What each probe of a sweep found, with what there is to draw."""
    paths = open_results(folder)
    ledger = Ledger(paths.ledger)
    studies = ledger.studies.table().to_pylist()
    if not studies:
        return []
    return probe_tables(ledger.rows(), studies, read_sweep(paths).get("measures", {}))
