"""The columns of the ledger, and their version."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 7
#: Version 1 had no stopped trials, and no validation counts in curves; version 2 no counts of cover
#: samples; version 3 no losses; version 4 no `foretold`; version 5 nothing of `thresholds`,
#: `source_digest` and `reused_from`; version 6 no `node_id`, and of failures only `error`. What
#: they lack is read as null.
READABLE_VERSIONS = (1, 2, 3, 4, 5, 6, 7)
_MEASUREMENT = pa.struct(
    [
        ("measure_id", pa.string()),
        ("success", pa.int64()),
        ("robust", pa.int64()),
        ("total", pa.int64()),
    ]
)
_CURVE_POINT = pa.struct(
    [
        ("epoch", pa.int64()),
        ("clean_correct", pa.int64()),
        ("success", pa.list_(pa.int64())),
        ("validation_correct", pa.int64()),
    ]
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
    pa.field("covers", pa.int64()),
    pa.field("validation_correct", pa.int64()),
    pa.field("validation_total", pa.int64()),
    pa.field("class_correct", pa.list_(pa.int64())),
    pa.field("class_total", pa.list_(pa.int64())),
    pa.field("clean_loss", pa.float64()),  # mean cross-entropy in nats, of models trained by it
    pa.field("collapsed", pa.bool_()),
    pa.field("diverged", pa.bool_()),
    pa.field("measurements", pa.list_(_MEASUREMENT)),
    pa.field("curve", pa.list_(_CURVE_POINT)),
    pa.field("epochs_run", pa.int64()),  # of a stopped trial; others ran all of theirs
    pa.field("stopped_by", pa.string()),
]
#: Where and when it was computed.
CIRCUMSTANCE_FIELDS = [
    pa.field("pack_id", pa.string()),
    pa.field("seconds", pa.float64()),
    pa.field("train_seconds", pa.float64()),
    pa.field("trained_images", pa.int64()),
    pa.field("peak_memory", pa.int64()),
    pa.field("cpus", pa.float64()),  # what the pack held while it ran: seconds * gpus is the cost
    pa.field("gpus", pa.float64()),
    pa.field("device", pa.string()),
    pa.field("host", pa.string()),
    pa.field("foretold", pa.string()),  # the verdict that was certain before the end, and why
    pa.field("thresholds", pa.string()),  # that this verdict is about
    pa.field("source_digest", pa.string()),  # of the code of users' kinds that computed it
    pa.field("reused_from", pa.string()),  # id of the sweep that trained it, if not this one
    pa.field("finished_at", pa.float64(), nullable=False),
    pa.field("node_id", pa.string()),  # Ray's name of the machine
    pa.field("cause", pa.string()),  # of a failure: trial, node, preempted, memory, time, hang
    pa.field("failed_at", pa.string()),  # file:line
    pa.field("traceback", pa.string()),
    pa.field("log", pa.string()),  # the last lines that a failed training printed
]
RESULT_COLUMNS = [field.name for field in RESULT_FIELDS]
SCHEMA = pa.schema(
    RESULT_FIELDS + CIRCUMSTANCE_FIELDS, metadata={"schema_version": str(SCHEMA_VERSION)}
)
