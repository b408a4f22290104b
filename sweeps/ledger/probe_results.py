"""What probes found: Parquet files in a folder of the ledger, a row a trial and probe.

A probe is no part of a trial's identity, so its results have files of their own: they can be
added to a trial that was recorded without them. Reading keeps one row a trial and probe: the
earliest that did not fail, else the latest failure.

While rows travel from workers, the probe results of a trial are a list in its row (`attached`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc

from backdoor.result import FAILED, FOUND, NOTHING, ProbeRecord, TrialResult, probe_id
from sweeps.ledger.files import read_table, write_table
from sweeps.ledger.rows import canonical_json
from sweeps.records.probe_row import ProbeRow
from sweeps.storage.files import sync_folder

VERSIONS = (1,)
#: The column in which probe results travel with the rows of their trials.
ATTACHED = "studies"
#: Segments are merged into one file when there are more of them than this.
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
    """The rows of these results with what probes found, if anything."""
    if not any(result.studies for result in results):
        return rows
    return with_found(rows, [[_plain(record) for record in r.studies] for r in results])


def with_found(rows: pa.Table, found: Sequence[Sequence[dict[str, Any]]]) -> pa.Table:
    """The rows with what probes found on each of them, as plain values."""
    return rows.append_column(_ATTACHED_FIELD, pa.array(found, _ATTACHED_FIELD.type))


def detached(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows as the ledger keeps them, and their probe results (a table of `SCHEMA`)."""
    if ATTACHED not in rows.column_names:
        return rows, SCHEMA.empty_table()
    pairs = zip(rows["trial_id"].to_pylist(), rows[ATTACHED].to_pylist(), strict=True)
    results = [{"trial_id": trial, **result} for trial, found in pairs for result in found or ()]
    return rows.drop_columns([ATTACHED]), pa.Table.from_pylist(results, schema=SCHEMA)


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


# --- the files ---------------------------------------------------------------------------------


class ProbeSummary(TypedDict):
    """Of one kind of probe: how many results found something or nothing; error → how many failed
    with it."""

    found: int
    nothing: int
    failures: dict[str, int]


class ProbeResults:
    """The probe results in a folder, which is made when there is the first. One process writes."""

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
        """Those of the trials for which some of the probes (ids) have no result but a failure."""
        known = self.outcomes
        return {
            trial
            for trial in trials
            if any(known.get((trial, probe), FAILED) == FAILED for probe in probes)
        }

    # --- writing ---------------------------------------------------------------------------

    def append(self, results: pa.Table) -> None:
        """Records the results that are new, durably; a failed one is, whenever tried again."""
        keys = zip(*(results[name].to_pylist() for name in _INDEX[:2]), strict=True)
        known = self.outcomes
        fresh = results.filter(
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

    def _note(self, results: pa.Table) -> None:
        """Remembers the outcomes of results that are on disk."""
        known = self._outcomes if self._outcomes is not None else {}
        for trial, probe, outcome in _index(results):
            if known.get((trial, probe), FAILED) == FAILED:
                known[trial, probe] = outcome

    # --- reading ---------------------------------------------------------------------------

    def files(self) -> list[Path]:
        """Whole files, merged ones first, then segments by age; segments are listed first, see
        `Ledger.files`."""
        segments = sorted(self.folder.glob("part-*.parquet"))
        return sorted(self.folder.glob("fold-*.parquet")) + segments

    def table(self) -> pa.Table:
        """One row a trial and probe, as of some moment during the call."""
        table = self._read(None)
        outcomes = table["outcome"].to_pylist()
        kept = dict[tuple[str, str], int]()
        for index, (trial, probe, _) in enumerate(_index(table)):
            before = kept.get((trial, probe))
            if before is None or outcomes[before] == FAILED:
                kept[trial, probe] = index
        return table.take(pa.array(sorted(kept.values()), pa.int64()))

    def rows(self, trial_id: str | None = None) -> list[ProbeRow]:
        """One row a trial and probe, or those of one trial."""
        table = self.table()
        if trial_id is not None:
            table = table.filter(pc.equal(pc.field("trial_id"), trial_id))
        return [ProbeRow.of(stored) for stored in table.to_pylist()]

    def of(self, trials: Iterable[str]) -> dict[str, list[ProbeRow]]:
        """trial_id to the results on its model that found something."""
        table = self.table()
        selected = pc.is_in(table["trial_id"], pa.array(list(trials), pa.string()))
        found: dict[str, list[ProbeRow]] = {}
        for stored in table.filter(
            pc.and_(selected, pc.equal(table["outcome"], FOUND))
        ).to_pylist():
            found.setdefault(stored["trial_id"], []).append(ProbeRow.of(stored))
        return found

    def found(self) -> dict[str, str]:
        """trial_id to the probes (ids, sorted, by commas) that have found something on it, as of
        now, also where another process writes."""
        probes: dict[str, set[str]] = {}
        for trial, probe, outcome in _index(self._read(_INDEX)):
            if outcome == FOUND:
                probes.setdefault(trial, set()).add(probe)
        return {trial: ",".join(sorted(some)) for trial, some in probes.items()}

    def summary(self) -> dict[str, ProbeSummary]:
        """By kind of probe; the most frequent failures come first."""
        counts: dict[str, Counter[str]] = {}
        failures: dict[str, Counter[str]] = {}
        # Without the columns of the results, which may be long.
        for stored in self.table().select(["probe", "outcome", "error"]).to_pylist():
            kind = json.loads(stored["probe"])["kind"]
            counts.setdefault(kind, Counter())[stored["outcome"]] += 1
            if stored["outcome"] == FAILED:
                failures.setdefault(kind, Counter())[str(stored["error"])] += 1
        return {
            kind: {
                "found": count[FOUND],
                "nothing": count[NOTHING],
                "failures": dict(failures.get(kind, Counter()).most_common()),
            }
            for kind, count in counts.items()
        }

    def attach(self, rows: pa.Table) -> pa.Table:
        """Recorded rows with their probe results, as they travelled."""
        found: dict[str, list[dict[str, Any]]] = {}
        for stored in self.table().to_pylist():
            found.setdefault(stored.pop("trial_id"), []).append(stored)
        return with_found(rows, [found.get(t, []) for t in rows["trial_id"].to_pylist()])

    def _read(self, columns: list[str] | None) -> pa.Table:
        schema = SCHEMA if columns is None else pa.schema([SCHEMA.field(c) for c in columns])
        while True:
            try:
                tables = [read_table(file, VERSIONS, columns) for file in self.files()]
            except FileNotFoundError:
                continue  # merged by its writer since it was listed: the new file has its rows
            return pa.concat_tables([schema.empty_table(), *(t.cast(schema) for t in tables)])


def _index(table: pa.Table) -> Iterator[tuple[str, str, str]]:
    """trial_id, probe_id and outcome of each row."""
    return zip(*(table[name].to_pylist() for name in _INDEX), strict=True)
