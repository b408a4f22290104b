"""Rows of the ledger: from results to tables, and the bytes in which tables travel."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backdoor.result import PartialResult, TrialResult
from backdoor.settings.source_digest import source_digest
from sweeps.ledger.schema import SCHEMA
from sweeps.records.failure import Failure
from sweeps.records.trial_row import CLEAN, FAILED, FINISHED, STOPPED

if TYPE_CHECKING:
    from backdoor.config import TrialConfig

#: Rows of the ledger as a table of `SCHEMA`; the name under which other modules pass them on.
Rows = pa.Table


def finished_rows(
    results: Iterable[TrialResult],
    pack_id: str,
    cpus: float | None = None,
    gpus: float | None = None,
    predicted: Mapping[str, str] = MappingProxyType({}),
) -> pa.Table:
    """Ledger rows of results, with the time. cpus, gpus: what their pack held. predicted: the
    verdicts that were predicted for holdout trials, by trial id."""
    return _table(
        {
            **(row := result.row()),
            "config": canonical_json(row["config"]),
            "status": FINISHED,
            "error": None,
            "pack_id": pack_id,
            "cpus": cpus,
            "gpus": gpus,
            "foretold": predicted.get(row["trial_id"]),
            "source_digest": source_digest(row["config"]),
            "finished_at": time.time(),
        }
        for result in results
    )


def partial_rows(
    partials: Iterable[PartialResult],
    pack_id: str,
    cpus: float | None = None,
    gpus: float | None = None,
) -> pa.Table:
    """Rows of trials that are still training, as they will be recorded if they are stopped now."""
    return _table(
        {
            **(row := partial.row()),
            "config": canonical_json(row["config"]),
            "status": STOPPED,
            "pack_id": pack_id,
            "cpus": cpus,
            "gpus": gpus,
            "source_digest": source_digest(row["config"]),
            "finished_at": time.time(),
        }
        for partial in partials
    )


def stopped_rows(partial: pa.Table, reason: str, predicted: str | None = None) -> pa.Table:
    """Rows of `partial_rows` with what stopped their trials, and the time."""
    fields = {"stopped_by": reason, "foretold": predicted, "finished_at": time.time()}
    return _table({**row, **fields} for row in partial.to_pylist())


def with_column(rows: pa.Table, name: str, values: Iterable[str | None]) -> pa.Table:
    """The rows with other values of one text column."""
    column = pa.array(values, pa.string())
    return rows.set_column(rows.column_names.index(name), name, column)


def with_left_out(rows: pa.Table, text: str | None) -> pa.Table:
    """Finished rows of a pack, those of clean baselines with what they are not measured with."""
    if text is None:
        return rows
    return with_column(
        rows, "error", [text if a == CLEAN else None for a in rows["attack_id"].to_pylist()]
    )


def predicted_rows(rows: pa.Table, predicted: str) -> pa.Table:
    """Rows of a holdout trial with the verdict that was predicted for it."""
    return with_column(rows, "foretold", [predicted] * rows.num_rows)


def failed_rows(trials: Iterable[TrialConfig], pack_id: str, failure: Failure | str) -> pa.Table:
    """Ledger rows of trials that could not be trained, with the reason."""
    known = Failure.of(failure)
    return _table(
        {
            "trial_id": trial.trial_id,
            "defence_id": trial.defence_id,
            "attack_id": trial.attack_id,
            "seed": trial.seed,
            "config": canonical_json(trial.canonical),
            "status": FAILED,
            "error": known.error,
            "cause": known.cause,
            "failed_at": known.place,
            "traceback": known.traceback,
            "log": known.log,
            "host": known.host,
            "node_id": known.node_id,
            "pack_id": pack_id,
            "source_digest": source_digest(trial.canonical),
            "finished_at": time.time(),
        }
        for trial in trials
    )


def rows_of(records: Sequence[dict[str, Any]]) -> pa.Table:
    """A table of rows that were changed as dictionaries."""
    return _table(records)


def canonical_json(value: Any) -> str:
    """Plain values as one line of JSON, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of tables, at least one, as one table. A column that some of them lack, such as that
    of probe results, is null in their rows."""
    return pa.concat_tables(tables, promote_options="default")


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
