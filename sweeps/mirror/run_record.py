"""What the MLflow run of a trial shows: a pure function of its row and its probe results.

Equal rows give equal runs, times included, so that a store that was lost can be rebuilt.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.result import Measurement
from sweeps.ledger import FAILED, FINISHED, STOPPED, flatten_factors
from sweeps.mirror.view import ChangedTrial
from sweeps.records.data_entry import data_text, data_warnings
from sweeps.records.probe_row import ProbeRow
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import TrialRow
from sweeps.region.labels import kind_label, target_label

#: A ledger row's status → MLflow's.
STATUS = {FINISHED: "FINISHED", FAILED: "FAILED", STOPPED: "KILLED"}
#: What names of metrics begin with that a clean baseline has, one for each trigger.
BASELINE = "baseline_attack_success."
#: Characters kept of a name and of a tag's or parameter's value; every store of MLflow takes these.
NAME_LENGTH, VALUE_LENGTH = 200, 4000


@dataclass(frozen=True)
class MetricPoint:
    """A value of a metric; `step` is the epoch where the metric is a curve."""

    key: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class RunRecord:
    """All that a run shows. Times are milliseconds since 1970."""

    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str]
    points: tuple[MetricPoint, ...]


class RunRecords:
    """Makes the runs of one sweep. sweep: the content of sweep.json."""

    def __init__(self, sweep: SweepFile) -> None:
        self._sweep_id = sweep["sweep_id"]
        self._labels = measure_labels(sweep.get("measures", {}))

    def record(self, trial: ChangedTrial) -> RunRecord:
        """The run of a trial."""
        row = trial.row
        ended = round(row.finished_at * 1000)
        return RunRecord(
            clean_text(_name(row.config, row.seed), NAME_LENGTH),
            STATUS[row.status],
            ended - round((row.seconds or 0) * 1000),
            ended,
            texts({"sweep_id": self._sweep_id, **_tags(row), "probes": trial.probes or None}),
            texts({**flatten_factors(row.config), "seed": row.seed}),
            (*self._figures(row), *_curve(row), *probe_figures(trial.found)),
        )

    def _figures(self, row: TrialRow) -> Iterator[MetricPoint]:
        """What is known at the end: of a stopped trial its counts of images and epochs."""
        for key, value in _final_values(row).items():
            if value is not None:
                yield MetricPoint(key, float(value))
        for measured in row.measurements if row.finished else ():
            if measured.total:
                yield from self._measured(measured, row.is_clean)

    def _measured(self, measured: Measurement, clean: bool) -> Iterator[MetricPoint]:
        """A poisoned trial has one measurement; a clean baseline one for every trigger."""
        success = measured.success / measured.total
        if clean:
            label = self._labels.get(measured.measure_id) or measured.measure_id
            yield MetricPoint(f"{BASELINE}{label}", success)
            return
        yield MetricPoint("attack_success", success)
        yield MetricPoint("robust_accuracy", measured.robust / measured.total)
        yield MetricPoint("attack_success_count", measured.success)
        yield MetricPoint("attack_total", measured.total)


def _tags(row: TrialRow) -> dict[str, str | None]:
    return {
        "trial_id": row.trial_id,
        "defence_id": row.defence_id,
        "attack_id": row.attack_id,
        "engine": row.engine,
        "pack_id": row.pack_id,
        "device": row.device,
        "host": row.host,
        "node_id": row.node_id,
        "data_fingerprint": row.data_fingerprint,
        "status": row.status,
        "stopped_by": row.stopped_by,
        "foretold": row.predicted,
        "thresholds": row.thresholds,
        "source_digest": row.source_digest,
        "reused_from": row.reused_from,
        "error": row.error,
        "cause": row.cause,
        "failed_at": row.failed_at,
    }


def _final_values(row: TrialRow) -> dict[str, float | None]:
    """Metric → value; the result of a trial that has not finished is unknown."""
    result: dict[str, float | None] = {}
    if row.finished:
        result = {
            "clean_correct": row.clean_correct,
            "clean_total": row.clean_total,
            "clean_accuracy": row.clean_accuracy,
            "clean_loss": row.clean_loss,
            "validation_accuracy": row.validation_accuracy,
        }
    return result | {
        "train_images": row.train_images,
        "poisoned": row.poisoned,
        "relabelled": row.relabelled,
        "covers": row.covers,
        "collapsed": row.collapsed if row.finished else None,
        "diverged": row.diverged if row.finished else None,
        "epochs_run": row.epochs_run,
        "seconds": row.seconds,
    }


def _curve(row: TrialRow) -> Iterator[MetricPoint]:
    """The figures after each epoch evaluated, of finished and stopped trials alike."""
    attacked = 0 if row.is_clean or not row.measurements else row.measurements[0].total
    for point in row.curve:
        clean = point.clean_correct / row.clean_total
        yield MetricPoint("clean_accuracy_by_epoch", clean, point.epoch)
        if point.validation_correct is not None and row.validation_total:
            validation = point.validation_correct / row.validation_total
            yield MetricPoint("validation_accuracy_by_epoch", validation, point.epoch)
        if attacked:
            success = point.success[0] / attacked
            yield MetricPoint("attack_success_by_epoch", success, point.epoch)


def probe_figures(results: Sequence[ProbeRow]) -> Iterator[MetricPoint]:
    """`slope.theta`: columns of one value, by the probe's kind, and by its id as well where a kind
    was asked for with several settings."""
    kinds = Counter(result.kind for result in results)
    for result in results:
        several = kinds[result.kind] > 1
        name = f"{result.kind} {result.probe_id[:8]}" if several else result.kind
        for column, values in result.columns.items():
            value = values[0] if len(values) == 1 else None
            if value is not None and not isinstance(value, str) and math.isfinite(value):
                yield MetricPoint(_key(f"{name}.{column}"), float(value))


def _name(config: Mapping[str, Any], seed: int) -> str:
    """`mlp(width=32) wd=0.03 patch(size=1) 3 % seed 1`: short, for people; ids are tags."""
    attack, parts = config["attack"], [defence_name(config["defence"])]
    if attack is None:
        parts.append("clean")
    else:
        parts.append(f"{kind_label(attack['trigger'])} {100 * attack['poison_rate']:.4g} %")
        if attack.get("cover_rate"):
            parts.append(f"covers {100 * attack['cover_rate']:.4g} %")
    return " ".join([*parts, f"seed {seed}"])


def defence_name(defence: Mapping[str, Any]) -> str:
    """`mlp(width=32) wd=0.03`: what tells most defence points apart."""
    parts = [kind_label(defence["architecture"])]
    if defence.get("regularizer", {"kind": "none"})["kind"] != "none":
        parts.append(kind_label(defence["regularizer"]))
    parts += [
        f"{short}={defence[key]:.4g}"
        for short, key in (("wd", "weight_decay"), ("lr", "learning_rate"))
        if key in defence
    ]
    return " ".join(parts)


def measure_labels(measures: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A metric name's part for each measure: the trigger, and more where that is not enough."""
    return distinct_labels(measures, {key: kind_label(m["trigger"]) for key, m in measures.items()})


def distinct_labels(
    attacks: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, str]:
    """`names` as parts of metric names: with the goal where they repeat, then with the id."""
    short = {key: _key(name) for key, name in names.items()}
    long = {key: _key(f"{short[key]} {target_label(a)}") for key, a in attacks.items()}
    for labels in (short, long):
        if max(Counter(labels.values()).values(), default=1) == 1:
            return labels
    return {key: f"{label} {key[:8]}" for key, label in long.items()}


def _key(text: str) -> str:
    """`text` as a part of a metric's name: letters, digits, spaces, `_`, `-` and `.`."""
    return " ".join(re.sub(r"[^\w.\-]", " ", text).split())[:NAME_LENGTH]


def data_tags(sweep: SweepFile) -> dict[str, str]:
    """What was read of the data, as tags of the experiment; MLflow shows the last one as its
    description. None where sweep.json is of an earlier release."""
    text, warnings = "; ".join(data_text(sweep)), "; ".join(data_warnings(sweep))
    noted = f"Data: {text}" + (f"\n\nWarnings: {warnings}" if warnings else "")
    described = {"data": text, "data_warnings": warnings, "mlflow.note.content": noted}
    return {
        key: clean_text(value, VALUE_LENGTH) for key, value in described.items() if text and value
    }


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as MLflow stores them; what is unset is left out."""
    return {
        _key(key): clean_text(str(value), VALUE_LENGTH)
        for key, value in values.items()
        if value is not None
    }


def clean_text(text: str, length: int) -> str:
    """`text` without what a database may refuse (zero bytes, lone surrogates), cut to length."""
    whole = text.encode("utf-8", "replace").decode().replace("\0", "?")
    return whole if len(whole) <= length else whole[: length - 3] + "..."
