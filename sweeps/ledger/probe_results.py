"""What probes found: Parquet files in a folder of the ledger, a row a trial and probe.

A probe is no part of a trial's identity, so studies have files of their own: they can be added to
a trial that was recorded without them. Reading keeps one row a trial and probe: the earliest that
did not fail, else the latest failure.

While rows travel from workers, the studies of a trial are a list in its row (`attached`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backdoor.result import FAILED, FOUND, ProbeRecord, TrialResult, probe_id
from sweeps.ledger.files import read_table, write_table
from sweeps.ledger.rows import canonical_json
from sweeps.storage.files import sync_folder

VERSIONS = (1,)
#: The column in which studies travel with the rows of their trials.
ATTACHED = "studies"
#: Parts are folded into one file when there are more of them than this.
COMPACT_AT = 64

_COLUMN = pa.struct(
    [
        # One of the three is given: figures, counts, or texts.
        ("name", pa.string()),
        ("floats", pa.list_(pa.float64())),
        ("ints", pa.list_(pa.int64())),
        ("texts", pa.list_(pa.string())),
    ]
)
_FIELDS = [
    pa.field("probe_id", pa.string(), nullable=False),
    pa.field("probe", pa.string(), nullable=False),  # kind and settings, as JSON
    pa.field("outcome", pa.string(), nullable=False),  # found, nothing or failed
    pa.field("error", pa.string()),
    pa.field("columns", pa.list_(_COLUMN)),
    pa.field("seconds", pa.float64()),
    pa.field("finished_at", pa.float64(), nullable=False),
]
_TRIAL = pa.field("trial_id", pa.string(), nullable=False)
SCHEMA = pa.schema([_TRIAL, *_FIELDS], metadata={"schema_version": str(VERSIONS[-1])})
_INDEX = ["trial_id", "probe_id", "outcome"]
_ATTACHED_FIELD = pa.field(ATTACHED, pa.list_(pa.struct(_FIELDS)))


# --- travelling with rows ----------------------------------------------------------------------


def attached(rows: pa.Table, results: Sequence[TrialResult]) -> pa.Table:
    """The rows of these results with their studies, if there are any."""
    if not any(result.studies for result in results):
        return rows
    values = [[_plain(record) for record in result.studies] for result in results]
    return rows.append_column(_ATTACHED_FIELD, pa.array(values, _ATTACHED_FIELD.type))


def detached(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows as the ledger keeps them, and their studies (`SCHEMA`)."""
    if ATTACHED not in rows.column_names:
        return rows, SCHEMA.empty_table()
    pairs = zip(rows["trial_id"].to_pylist(), rows[ATTACHED].to_pylist(), strict=True)
    studies = [{"trial_id": trial, **study} for trial, found in pairs for study in found or ()]
    return rows.drop_columns([ATTACHED]), pa.Table.from_pylist(studies, schema=SCHEMA)


def _plain(record: ProbeRecord) -> dict[str, Any]:
    return {
        "probe_id": probe_id(record.probe),
        "probe": canonical_json(dict(record.probe)),
        "outcome": record.outcome,
        "error": record.error,
        "columns": [_column(name, values) for name, values in record.columns.items()],
        "seconds": record.seconds,
        "finished_at": time.time(),
    }


def _column(name: str, values: Sequence[float | int | str]) -> dict[str, Any]:
    if all(isinstance(value, str) for value in values):
        return {"name": name, "texts": list(values)}
    if all(isinstance(value, int) for value in values):
        return {"name": name, "ints": list(values)}
    return {"name": name, "floats": [float(value) for value in values]}


def plain_probe_results(studies: ProbeResults, trial_id: str) -> list[dict[str, Any]]:
    """All studies of one trial as JSON has them: NaN is null."""
    rows = studies.table().filter(pc.equal(pc.field("trial_id"), trial_id)).to_pylist()
    plain = []
    for row in rows:
        columns = {
            name: [None if value != value else value for value in values]
            for name, values in columns_of(row).items()
        }
        kept = {key: row[key] for key in ("probe_id", "outcome", "error", "seconds")}
        plain.append({"probe": json.loads(row["probe"]), **kept, "columns": columns})
    return plain


def columns_of(row: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Column name to values, as the probe gave them, of a row of `SCHEMA`."""
    found = {}
    for column in row["columns"] or ():
        lists = (column[kind] for kind in ("floats", "ints", "texts"))
        found[column["name"]] = next(values for values in lists if values is not None)
    return found


# --- the files ---------------------------------------------------------------------------------


class ProbeResults:
    """The studies in a folder, which is made when there is the first. One process writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._outcomes: dict[tuple[str, str], str] | None = None

    @property
    def outcomes(self) -> dict[tuple[str, str], str]:
        """(trial_id, probe_id) to the outcome that counts."""
        if self._outcomes is None:
            self._outcomes = {}
            self._note(self._read(_INDEX))
        return self._outcomes

    def lacking(self, trials: Iterable[str], probes: Sequence[str]) -> set[str]:
        """Those of the trials that some of the probes (ids) have not studied without failing."""
        known = self.outcomes
        return {
            trial
            for trial in trials
            if any(known.get((trial, probe), FAILED) == FAILED for probe in probes)
        }

    def append(self, studies: pa.Table) -> None:
        """Records, durably, the studies that are new; a failed one is, whenever tried again."""
        keys = zip(*(studies[name].to_pylist() for name in _INDEX[:2]), strict=True)
        known = self.outcomes
        fresh = studies.filter(
            pa.array([known.get(key, FAILED) == FAILED for key in keys], pa.bool_())
        )
        if fresh.num_rows:
            write_table(self.folder, "part", fresh, SCHEMA)
            self._note(fresh)
            if len(list(self.folder.glob("part-*.parquet"))) > COMPACT_AT:
                self.compact()

    def compact(self) -> None:
        """Rewrites all files as one. Killed halfway, it leaves rows twice, never rows lost."""
        files = self.files()
        if len(files) > 1:
            write_table(self.folder, "fold", self.table(), SCHEMA)
            for file in files:
                file.unlink(missing_ok=True)
            sync_folder(self.folder)

    def files(self) -> list[Path]:
        """Whole files, folds first, then parts by age; parts are listed first, see `Ledger`."""
        parts = sorted(self.folder.glob("part-*.parquet"))
        return sorted(self.folder.glob("fold-*.parquet")) + parts

    def table(self) -> pa.Table:
        """One row a trial and probe, as of some moment during the call."""
        table = self._read(None)
        rows = dict[tuple[str, str], int]()
        columns = [table[name].to_pylist() for name in _INDEX]
        for index, (trial, probe, _) in enumerate(zip(*columns, strict=True)):
            before = rows.get((trial, probe))
            if before is None or columns[2][before] == FAILED:
                rows[trial, probe] = index
        return table.take(pa.array(sorted(rows.values()), pa.int64()))

    def summary(self) -> dict[str, dict[str, Any]]:
        """Kind of probe to how many studies found something or nothing, and why others failed."""
        kinds: dict[str, dict[str, Any]] = {}
        table = self.table().select(["probe", "outcome", "error"])
        for row in table.to_pylist():
            kind = json.loads(row["probe"])["kind"]
            of = kinds.setdefault(kind, {"found": 0, "nothing": 0, "failures": Counter()})
            if row["outcome"] == FAILED:
                of["failures"][row["error"]] += 1
            else:
                of[row["outcome"]] += 1
        for of in kinds.values():
            of["failures"] = dict(of["failures"].most_common())
        return kinds

    def found(self) -> dict[str, str]:
        """trial_id to the probes (ids, sorted, by commas) that have found something on it, as of
        now, also where another process writes."""
        probes: dict[str, set[str]] = {}
        table = self._read(_INDEX)
        for trial, probe, outcome in zip(*(table[n].to_pylist() for n in _INDEX), strict=True):
            if outcome == FOUND:
                probes.setdefault(trial, set()).add(probe)
        return {trial: ",".join(sorted(some)) for trial, some in probes.items()}

    def of(self, trials: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """trial_id to the rows of its studies that found something."""
        table = self.table()
        wanted = pc.is_in(table["trial_id"], pa.array(list(trials), pa.string()))
        found: dict[str, list[dict[str, Any]]] = {}
        for study in table.filter(pc.and_(wanted, pc.equal(table["outcome"], FOUND))).to_pylist():
            found.setdefault(study["trial_id"], []).append(study)
        return found

    def attach(self, rows: pa.Table) -> pa.Table:
        """Recorded rows with their studies, as they travelled."""
        found: dict[str, list[dict[str, Any]]] = {}
        for study in self.table().to_pylist():
            found.setdefault(study.pop("trial_id"), []).append(study)
        values = [found.get(trial, []) for trial in rows["trial_id"].to_pylist()]
        return rows.append_column(_ATTACHED_FIELD, pa.array(values, _ATTACHED_FIELD.type))

    def _note(self, studies: pa.Table) -> None:
        known = self._outcomes if self._outcomes is not None else {}
        for trial, probe, outcome in zip(
            *(studies[name].to_pylist() for name in _INDEX), strict=True
        ):
            if known.get((trial, probe), FAILED) == FAILED:
                known[trial, probe] = outcome

    def _read(self, columns: list[str] | None) -> pa.Table:
        schema = SCHEMA if columns is None else pa.schema([SCHEMA.field(c) for c in columns])
        while True:
            try:
                tables = [read_table(file, VERSIONS, columns) for file in self.files()]
            except FileNotFoundError:
                continue  # folded by its writer since it was listed: the fold has its rows
            return pa.concat_tables([schema.empty_table(), *(t.cast(schema) for t in tables)])
