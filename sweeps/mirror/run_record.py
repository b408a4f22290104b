"""What the MLflow run of a trial says: a pure function of the trial's ledger row.

Equal rows give equal runs, times included, so that a store that was lost can be rebuilt.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.ledger import FINISHED, accuracies, columns_of, flatten_factors
from sweeps.region.labels import kind_label, target_label

#: MLflow's word for a ledger row's status.
STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
#: Characters kept of a name and of a tag's or parameter's value; every store of MLflow takes these.
NAME_LENGTH, VALUE_LENGTH = 200, 4000

_TAGS = ["trial_id", "defence_id", "attack_id", "engine", "pack_id", "device", "host",
         "data_fingerprint", "status", "stopped_by", "foretold", "error"]  # fmt: skip
_COUNTS = ["train_images", "poisoned", "relabelled", "covers", "collapsed", "diverged"]


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
    """Makes the runs of one sweep, which `sweep` (sweep.json) describes."""

    def __init__(self, sweep: Mapping[str, Any]) -> None:
        self._sweep_id: str = sweep["sweep_id"]
        self._labels = measure_labels(sweep.get("measures", {}))

    def record(self, row: Mapping[str, Any]) -> RunRecord:
        """The run of a ledger row, whose `config` may be JSON text."""
        config = row["config"]
        config = json.loads(config) if isinstance(config, str) else config
        ended = round(row["finished_at"] * 1000)
        factors = {**flatten_factors(config), "seed": row["seed"]}
        tags = {"sweep_id": self._sweep_id, **{key: row[key] for key in _TAGS}}
        points = [*self._figures(row, config["attack"]), *_curve(row, config["attack"])]
        points += probe_figures(row.get("studies", ()))
        if row.get("probes"):
            tags["probes"] = row["probes"]
        return RunRecord(
            clean_text(_name(config, row["seed"]), NAME_LENGTH),
            STATUS[row["status"]],
            ended - round((row["seconds"] or 0) * 1000),
            ended,
            texts(tags),
            texts(factors),
            tuple(points),
        )

    def _figures(
        self, row: Mapping[str, Any], attack: Mapping[str, Any] | None
    ) -> Iterator[MetricPoint]:
        """What is known at the end: of a stopped trial its counts of images and epochs."""
        finished = row["status"] == FINISHED
        values = accuracies(dict(row)) if finished else {}
        values |= {key: row[key] for key in (*_COUNTS, "epochs_run", "seconds")}
        for key, value in values.items():
            if value is not None:
                yield MetricPoint(key, float(value))
        for m in (finished and row["measurements"]) or ():
            yield from self._measured(m, attack is not None)

    def _measured(self, m: Mapping[str, Any], poisoned: bool) -> Iterator[MetricPoint]:
        """A poisoned trial has one measurement; a clean baseline one for every trigger."""
        if not m["total"]:
            return
        if not poisoned:
            label = self._labels.get(m["measure_id"]) or m["measure_id"]
            yield MetricPoint(f"baseline_attack_success.{label}", m["success"] / m["total"])
            return
        yield MetricPoint("attack_success", m["success"] / m["total"])
        yield MetricPoint("robust_accuracy", m["robust"] / m["total"])
        yield MetricPoint("attack_success_count", m["success"])
        yield MetricPoint("attack_total", m["total"])


def _curve(row: Mapping[str, Any], attack: Mapping[str, Any] | None) -> Iterator[MetricPoint]:
    """The figures after each epoch evaluated, of finished and stopped trials alike."""
    for point in row["curve"] or ():
        epoch, total = point["epoch"], sum(row["class_total"])
        yield MetricPoint("clean_accuracy_by_epoch", point["clean_correct"] / total, epoch)
        if point["validation_correct"] is not None and row["validation_total"]:
            validation = point["validation_correct"] / row["validation_total"]
            yield MetricPoint("validation_accuracy_by_epoch", validation, epoch)
        if attack is not None and row["measurements"][0]["total"]:
            success = point["success"][0] / row["measurements"][0]["total"]
            yield MetricPoint("attack_success_by_epoch", success, epoch)


def probe_figures(studies: Sequence[Mapping[str, Any]]) -> Iterator[MetricPoint]:
    """`slope.theta`: figures of which a study has one, by the probe's kind, and by its id as well
    where a kind was asked for with several settings."""
    probes = [json.loads(study["probe"])["kind"] for study in studies]
    for kind, study in zip(probes, studies, strict=True):
        name = kind if probes.count(kind) == 1 else f"{kind} {study['probe_id'][:8]}"
        for column, values in columns_of(study).items():
            if len(values) == 1 and not isinstance(values[0], str) and math.isfinite(values[0]):
                yield MetricPoint(_key(f"{name}.{column}"), float(values[0]))


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
