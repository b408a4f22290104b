"""The only record of a sweep: Parquet files, written whole, read as one table.

Every report of a worker becomes a small part; parts are folded into one file now and then. A
kill at any moment leaves whole files only, at worst with rows twice; a trial counts once, since
reading keeps one row a `trial_id`: the earliest finished one, else the latest failure.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from backdoor.errors import Mistake, StoredDataError
from backdoor.trial import TrialResult
from sweeps.storage import open_results, read_sweep, sync_folder, write_atomic

#: Rows of the ledger as a table of `SCHEMA`; the name under which other modules pass them on.
Rows = pa.Table

SCHEMA_VERSION = 1
FINISHED, FAILED = "finished", "failed"
#: Parts are folded into one file when there are more of them than this.
FOLD_AT = 64
#: How the two kinds of files are written: a part of a few rows for speed, a fold for size.
_WRITING: dict[str, dict[str, Any]] = {
    "part": {"compression": "none", "use_dictionary": False, "write_statistics": False},
    "fold": {"compression": "zstd"},
}

_MEASUREMENT = pa.struct(
    [
        ("measure_id", pa.string()),
        ("success", pa.int64()),
        ("robust", pa.int64()),
        ("total", pa.int64()),
    ]
)
_CURVE_POINT = pa.struct(
    [("epoch", pa.int64()), ("clean_correct", pa.int64()), ("success", pa.list_(pa.int64()))]
)

#: What a trial is and what came of it: equal for every run of the same trial.
RESULT_FIELDS = [
    pa.field("trial_id", pa.string(), nullable=False),
    pa.field("defence_id", pa.string(), nullable=False),
    pa.field("attack_id", pa.string(), nullable=False),
    pa.field("seed", pa.int64(), nullable=False),
    pa.field("config", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string()),
    pa.field("engine", pa.string()),
    pa.field("engine_version", pa.int64()),
    pa.field("data_fingerprint", pa.string()),
    pa.field("train_images", pa.int64()),
    pa.field("poisoned", pa.int64()),
    pa.field("relabelled", pa.int64()),
    pa.field("validation_correct", pa.int64()),
    pa.field("validation_total", pa.int64()),
    pa.field("class_correct", pa.list_(pa.int64())),
    pa.field("class_total", pa.list_(pa.int64())),
    pa.field("collapsed", pa.bool_()),
    pa.field("diverged", pa.bool_()),
    pa.field("measurements", pa.list_(_MEASUREMENT)),
    pa.field("curve", pa.list_(_CURVE_POINT)),
]
#: Where and when it was computed.
CIRCUMSTANCE_FIELDS = [
    pa.field("pack_id", pa.string()),
    pa.field("seconds", pa.float64()),
    pa.field("device", pa.string()),
    pa.field("host", pa.string()),
    pa.field("finished_at", pa.float64(), nullable=False),
]
RESULT_COLUMNS = [field.name for field in RESULT_FIELDS]
SCHEMA = pa.schema(
    RESULT_FIELDS + CIRCUMSTANCE_FIELDS, metadata={"schema_version": str(SCHEMA_VERSION)}
)


def finished_rows(results: Iterable[TrialResult], pack_id: str) -> pa.Table:
    """Ledger rows of results, stamped with the time."""
    return _table(
        {
            **(row := result.row()),
            "config": _json(row["config"]),
            "status": FINISHED,
            "error": None,
            "pack_id": pack_id,
            "finished_at": time.time(),
        }
        for result in results
    )


def failed_rows(trials: Iterable[Any], pack_id: str, error: str) -> pa.Table:
    """Ledger rows of trials (`TrialConfig`) that could not be trained, with the reason."""
    return _table(
        {
            "trial_id": trial.trial_id,
            "defence_id": trial.defence_id,
            "attack_id": trial.attack_id,
            "seed": trial.seed,
            "config": _json(trial.canonical),
            "status": FAILED,
            "error": error,
            "pack_id": pack_id,
            "finished_at": time.time(),
        }
        for trial in trials
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def encode(table: pa.Table) -> bytes:
    """Rows as an Arrow IPC stream, the form in which workers report them."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def decode(content: bytes) -> pa.Table:
    """Rows from the bytes of `encode`."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


class Ledger:
    """The ledger in a folder. One process writes (`sweeps.storage.locked`), any may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: set[str] = set()
        self.failed: set[str] = set()
        self._numerics: dict[str, Any] = {}
        self._recent: dict[Path, pa.Table] = {}  # parts written since the last fold
        table = self.table()
        self._refuse_mixture(table)
        self._note(table)

    # --- writing ---------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> pa.Table:
        """Records the rows that are new, durably, and returns them.

        A finished trial is never recorded again; one that failed is, whenever it is tried again.
        """
        fresh = self._fresh(rows)
        if not fresh.num_rows:
            return fresh
        self._refuse_mixture(fresh)
        self._recent[self._write("part", fresh)] = fresh  # written first: no rows without a file
        self._note(fresh)
        if len(self._recent) > FOLD_AT:
            self._fold_newest()
        return fresh

    def fold(self) -> None:
        """Rewrites all files as one. Killed halfway, it leaves rows twice, never rows lost."""
        self._fold(self.files())

    def _fold_newest(self) -> None:
        """Rewrites all parts as one file, with the folds before them that are no larger.

        So files stay few, and a row is rewritten as often as the logarithm of their number, not
        as often as there are folds. Those that stay behind are older than the new one.
        """
        taken = self.parts()
        rows = sum(table.num_rows for table in self._recent.values())
        for file in reversed(self._folds()):
            if (more := pq.read_metadata(file).num_rows) > rows:
                break
            taken, rows = [file, *taken], rows + more
        self._fold(taken)

    def _fold(self, files: list[Path]) -> None:
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
            keep.append(trial_id not in self.finished and trial_id not in seen)
            if status == FINISHED:
                seen.add(trial_id)
        return rows if all(keep) else rows.filter(pa.array(keep, pa.bool_()))

    def _note(self, rows: pa.Table) -> None:
        """Remembers ids and statuses of rows that are on disk."""
        columns = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
        for trial_id, status in zip(*columns, strict=True):
            (self.finished if status == FINISHED else self.failed).add(trial_id)
        self.failed -= self.finished

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
        sink = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(SCHEMA.metadata), sink, **_WRITING[word])
        # Names sort by time, so that the earliest row of a trial is the one that counts.
        name = f"{word}-{time.time_ns():020d}-{uuid.uuid4().hex[:6]}.parquet"
        write_atomic(self.folder / name, sink.getvalue())
        return self.folder / name

    # --- reading ---------------------------------------------------------------------------

    def files(self) -> list[Path]:
        """Whole files, folds first, then parts by age. Unfinished ones begin with a dot.

        Parts are listed before folds: a fold that ends in between is then seen, not missed."""
        parts = self.parts()
        return self._folds() + parts

    def _folds(self) -> list[Path]:
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

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a trial, `config` as plain values."""
        rows: list[dict[str, Any]] = self.table().to_pylist()
        for row in rows:
            row["config"] = json.loads(row["config"])
        return rows

    def _read(self, file: Path) -> pa.Table:
        try:
            table = pq.read_table(file, partitioning=None)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            remedy = "Move the file away and use `sweeps resume`: its trials are trained again."
            raise StoredDataError(
                Mistake(str(file), "must be a readable Parquet file", str(error), remedy)
            ) from None
        version = int((table.schema.metadata or {}).get(b"schema_version", b"0"))
        if version != SCHEMA_VERSION:
            rule = f"must have schema version {SCHEMA_VERSION}"
            remedy = "Use the release of backdoor-sweeps that wrote it."
            raise StoredDataError(Mistake(str(file), rule, version, remedy))
        return table.cast(SCHEMA)


def _distinct(rows: pa.Table, names: list[str]) -> set[tuple[Any, ...]]:
    """The combinations of values in these columns."""
    if rows.num_rows > FOLD_AT:  # below that, Arrow's set-up costs more than it saves
        rows = rows.select(names).group_by(names).aggregate([])
    return set(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _one_row_a_trial(table: pa.Table) -> pa.Table:
    if not table.num_rows:
        return table
    rows = pa.array(range(table.num_rows), pa.int64())
    failed = pc.not_equal(table["status"], FINISHED)
    rank = pc.if_else(failed, pc.subtract(2 * table.num_rows, rows), rows)
    order = pa.table({"trial_id": table["trial_id"], "row": rows, "rank": rank}).sort_by("rank")
    first = order.group_by("trial_id", use_threads=False).aggregate([("row", "first")])
    return table.take(first["row_first"].combine_chunks().sort())


# --- for notebooks -----------------------------------------------------------------------------


def flatten_factors(config: dict[str, Any]) -> dict[str, Any]:
    """A canonical configuration by dotted names, such as `defence.architecture.width`.

    A clean baseline has `attack.poison_rate` 0 and no other factor of an attack.
    """
    flat: dict[str, Any] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            if "kind" in value:
                flat[prefix] = value["kind"]
            for key, inner in value.items():
                if key != "kind":
                    visit(f"{prefix}.{key}", inner)
        else:
            flat[prefix] = _json(value) if isinstance(value, list) else value

    for part in ("data", "defence", "training"):
        visit(part, config[part])
    if config["attack"] is None:
        flat["attack.poison_rate"] = 0.0
    else:
        visit("attack", config["attack"])
    return flat


def load_results(folder: Path | str) -> pa.Table:
    """A sweep as one flat table, a row a measurement; `.to_pandas()` gives a data frame.

    Columns: `trial_id`, `defence_id`, `attack_id`, `measure_id`, `seed`, `status`, the factors by
    dotted name, counts, and the fractions `clean_accuracy`, `validation_accuracy`,
    `attack_success` and `robust_accuracy` in [0, 1]. A clean baseline has a row for every trigger
    that it was measured with, at `attack.poison_rate` 0; `attack.trigger` then names the trigger
    measured. A failed trial has one row, without figures.
    """
    paths = open_results(folder)
    measured = read_sweep(paths).get("measures", {})
    flat = [row for trial in Ledger(paths.ledger).rows() for row in _flat_rows(trial, measured)]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return pa.table({name: [row.get(name) for row in flat] for name in names})


def _flat_rows(trial: dict[str, Any], measured: dict[str, Any]) -> Iterable[dict[str, Any]]:
    keys = ["trial_id", "defence_id", "attack_id", "seed", "status", "error"]
    keys += ["train_images", "poisoned", "relabelled", "collapsed", "diverged", "seconds"]
    row = {key: trial[key] for key in keys} | flatten_factors(trial["config"])
    if trial["status"] == FINISHED:
        row |= accuracies(trial)
    for m in trial["measurements"] or [None]:
        if m is None:
            yield row
            continue
        factors = flatten_factors(
            {
                "data": {},
                "defence": {},
                "training": {},
                "attack": {
                    **measured.get(m["measure_id"], {}),
                    "poison_rate": row["attack.poison_rate"],
                },
            }
        )
        yield (
            row
            | factors
            | m
            | {
                "attack_success": _fraction(m["success"], m["total"]),
                "robust_accuracy": _fraction(m["robust"], m["total"]),
            }
        )


def accuracies(trial: dict[str, Any]) -> dict[str, Any]:
    """Clean counts and fractions of a finished row."""
    correct, total = sum(trial["class_correct"]), sum(trial["class_total"])
    return {
        "clean_correct": correct,
        "clean_total": total,
        "clean_accuracy": _fraction(correct, total),
        "validation_accuracy": _fraction(trial["validation_correct"], trial["validation_total"]),
    }


def _fraction(count: int, total: int) -> float | None:
    return count / total if total else None


def write_csv(table: pa.Table, file: Path) -> None:
    """A flat table as a CSV file with a header."""
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    write_atomic(file, sink.getvalue())
