"""The ledger of a folder: appended to by one process, read by any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backdoor.errors import Mistake, StoredDataError
from backdoor.result import probe_id
from sweeps.ledger.files import read_table, version_of, write_table
from sweeps.ledger.probe_results import ProbeResults, detached
from sweeps.ledger.row_reader import trial_rows
from sweeps.ledger.schema import READABLE_VERSIONS, SCHEMA, SCHEMA_VERSION
from sweeps.records.trial_row import FAILED, FINISHED, LEARNED, STOPPED, TrialRow
from sweeps.storage.files import sync_folder

if TYPE_CHECKING:
    from backdoor.probes import Probe

#: Segments are merged into one file when there are more of them than this.
COMPACT_AT = 64


@dataclass(frozen=True)
class _Read:
    """What was read from these files, which never change once they are written."""

    files: list[Path]
    table: pa.Table

    @cached_property
    def trials(self) -> list[TrialRow]:
        return trial_rows(self.table)


class Ledger:
    """The ledger in a folder. One process writes (`sweeps.storage.locked`), any may read.

    finished, stopped, failed: the trial ids of each status. outdated: those whose row answers what
    the sweep asked before it was extended (`sweeps.ledger.outdated`): they are to be trained again,
    and their row stays until the new one is recorded. Until something is written, what was
    read is kept, and read again only where another process has written.
    """

    def __init__(self, folder: Path, keep: bool = True) -> None:
        """keep: whether what was read is kept; False for processes that read now and then."""
        self.folder = folder
        self.finished: set[str] = set()
        self.stopped: set[str] = set()
        self.failed: set[str] = set()
        self.outdated: set[str] = set()
        self._numerics: dict[str, Any] = {}
        self.probe_results = ProbeResults(folder / "probes")
        self._recent: dict[Path, pa.Table] = {}  # segments written since the last merge
        self._last: _Read | None = None
        self._keep = keep
        table = self.table()
        self.refuse_mixture(table)
        self._note(table)

    @property
    def ended(self) -> set[str]:
        """Trials that are not to be trained again: finished, or stopped by a rule."""
        return (self.finished | self.stopped) - self.outdated

    @property
    def _ended(self) -> set[str]:
        return self.finished | self.stopped

    def unprobed(self, probes: Sequence[Probe]) -> list[dict[str, Any]]:
        """Configurations of finished trials for which some probe has no result but a failure.

        Trials that a verification trained are left out: it is planned without probes."""
        lacking = self.probe_results.lacking(
            self.finished, [probe_id(p.identity()) for p in probes]
        )
        if not lacking:
            return []
        table = self.table().select(["trial_id", "config", "reused_from"])
        rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        return [
            json.loads(config)
            for trial_id, config, source in rows
            if trial_id in lacking and not (source or "").startswith(LEARNED)
        ]

    # --- writing ---------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> pa.Table:
        """Records the rows that are new, durably, and returns them.

        A finished trial is never recorded again, and a stopped one only if it has finished after
        all, unless they are outdated. A failed trial is recorded again at each attempt. Probe
        results that travel with the rows are recorded before them, also those of trials that are
        known: a probe may come later.
        """
        self._last, self._keep = None, False
        rows, results = detached(rows)
        if results.num_rows:
            self.refuse_mixture(rows)
            self.probe_results.append(results)
        fresh = self._fresh(rows)
        if not fresh.num_rows:
            return fresh
        self.refuse_mixture(fresh)
        self._recent[self._write("part", fresh)] = fresh  # written first: no rows without a file
        self._note(fresh)
        if len(self._recent) > COMPACT_AT:
            self._compact_newest()
        return fresh

    def compact(self) -> None:
        """Rewrites all files as one. If killed, rows may be duplicated but are never lost."""
        self._compact(self.files())
        self.probe_results.compact()

    def _compact_newest(self) -> None:
        """Rewrites all segments as one file, with the merged files before them that are no larger.

        So files stay few, and a row is rewritten as often as the logarithm of their number, not
        as often as files are merged. Those that stay behind are older than the new one.
        """
        taken = self.segments()
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
        # Otherwise Arrow keeps its peak memory, and the driver grows with the sweep.
        pa.default_memory_pool().release_unused()

    def _fresh(self, rows: pa.Table) -> pa.Table:
        seen: set[str] = set()
        keep = []
        columns = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        for trial_id, status in zip(*columns, strict=True):
            known = self.finished if status == FINISHED else self._ended
            again = status != FAILED and trial_id in self.outdated
            keep.append((again or trial_id not in known) and trial_id not in seen)
            if status == FINISHED:
                seen.add(trial_id)
        return rows if all(keep) else rows.filter(pa.array(keep, pa.bool_()))

    def _note(self, rows: pa.Table) -> None:
        """Remembers ids and statuses of rows that are on disk."""
        columns = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        sets = {FINISHED: self.finished, STOPPED: self.stopped}
        for trial_id, status in zip(*columns, strict=True):
            sets.get(status, self.failed).add(trial_id)
            if status in sets:
                self.outdated.discard(trial_id)
        self.stopped -= self.finished
        self.failed -= self._ended

    def refuse_mixture(self, rows: pa.Table) -> None:
        """`StoredDataError` where rows are of other data or numerics than those recorded."""
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
        """Whole files, merged ones first, then segments by age. Unfinished ones begin with a dot.

        Segments are listed before merged files: a merge that ends in between is then seen."""
        segments = self.segments()
        return self._compacted() + segments

    def _compacted(self) -> list[Path]:
        return sorted(self.folder.glob("fold-*.parquet"))

    def segments(self) -> list[Path]:
        """Files of a few rows, one for each report, that are not merged yet."""
        return sorted(self.folder.glob("part-*.parquet"))

    def table(self) -> pa.Table:
        """One row a trial, as of some moment during the call."""
        return self._current().table

    def trials(self) -> list[TrialRow]:
        """One row a trial, as of some moment during the call."""
        return list(self._current().trials)

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a trial by column, `config` as plain values. It is for notebooks: the
        project itself reads `trials`."""
        rows: list[dict[str, Any]] = self.table().to_pylist()
        for row in rows:
            row["config"] = json.loads(row["config"])
        return rows

    def _current(self) -> _Read:
        """What the files hold: read now, unless they were read already."""
        while True:
            files = self.files()
            if self._last is not None and self._last.files == files:
                return self._last
            self._last = None
            try:
                tables = [SCHEMA.empty_table(), *(self._read(file) for file in files)]
            except FileNotFoundError:
                continue  # merged by its writer since it was listed: the new file has its rows
            read = _Read(files, _one_row_a_trial(pa.concat_tables(tables)))
            self._last = read if self._keep else None
            return read

    def _read(self, file: Path) -> pa.Table:
        table = read_table(file, READABLE_VERSIONS)
        return table.cast(SCHEMA) if version_of(table) == SCHEMA_VERSION else _upgraded(table)


def _upgraded(table: pa.Table) -> pa.Table:
    """Rows of an older version; what they lack is null. A merge writes them in this version."""
    return pa.Table.from_pylist(table.to_pylist(), schema=SCHEMA)


def _distinct(rows: pa.Table, names: list[str]) -> set[tuple[Any, ...]]:
    """The combinations of values in these columns."""
    if rows.num_rows > COMPACT_AT:  # below that, Arrow's set-up costs more than it saves
        rows = rows.select(names).group_by(names).aggregate([])
    return set(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _one_row_a_trial(table: pa.Table) -> pa.Table:
    """A finished row before a stopped one before a failed one. Of finished rows the one with the
    most measurements, since an extended sweep measures a clean baseline with more triggers, and of
    these the earliest; of the others the latest."""
    if not table.num_rows:
        return table
    count, rows = table.num_rows, pa.array(range(table.num_rows), pa.int64())
    finished, stopped = (pc.equal(table["status"], word) for word in (FINISHED, STOPPED))
    measured = pc.cast(pc.fill_null(pc.list_value_length(table["measurements"]), 0), pa.int64())
    rank = pc.subtract(pc.if_else(stopped, 2 * count, 3 * count), rows)
    rank = pc.if_else(finished, pc.subtract(rows, pc.multiply(measured, count)), rank)
    order = pa.table({"trial_id": table["trial_id"], "row": rows, "rank": rank}).sort_by("rank")
    first = order.group_by("trial_id", use_threads=False).aggregate([("row", "first")])
    return table.take(first["row_first"].combine_chunks().sort())
