"""What the MLflow run of a defence point says: a pure function of the spec and the ledger's rows.

Its figures are those of region.json, by the same functions. Like there, a point has figures once
every attack of the panel has every seed; until then its run counts what is done.
"""

from __future__ import annotations

import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.config import measure_id
from backdoor.settings.digest import digest
from sweeps.ledger import FAILED, FINISHED, STOPPED, flatten_factors
from sweeps.mirror.run_record import (
    NAME_LENGTH,
    MetricPoint,
    clean_text,
    defence_name,
    distinct_labels,
    measure_labels,
    texts,
)
from sweeps.region import point_table as region
from sweeps.region.labels import attack_label, kind_label
from sweeps.spec import SweepSpec

#: Figures of region.json that are metrics of the same name.
FIGURES = ("clean_accuracy", "clean_lower", "clean_upper", "validation_accuracy",
           "attack_success", "success_lower", "success_upper", "seeds_passing", "margin",
           "baseline_accuracy")  # fmt: skip
#: The tag whose value follows from everything that the run shows, its status apart.
STATE = "mirrored_state"
#: Tags that a point may lose again.
PASSING_TAGS = ("error",)

Row = dict[str, Any]


@dataclass(frozen=True)
class PointRecord:
    """All that a run shows. Times are milliseconds since 1970.

    status: RUNNING until every trial is recorded. metrics: their latest values. series: values by
    seed. tags: without the one that says that all has been written.
    """

    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    series: tuple[MetricPoint, ...]

    @functools.cached_property
    def state(self) -> str:
        """Differs where the run would show something else."""
        series = [(point.key, point.value, point.step) for point in self.series]
        return digest("point-run", [self.name, self.tags, self.params, self.metrics, series])

    @property
    def judged(self) -> bool:
        return self.tags["by_means"] != region.INCOMPLETE


class PointRecords:
    """Makes the runs of one sweep's points. Costs what is new, not what is there, but `stand`.

    sweep: what sweep.json says.
    """

    def __init__(self, sweep: Mapping[str, Any], spec: SweepSpec) -> None:
        self._spec, self._sweep_id = spec, sweep["sweep_id"]
        self._panel = region.panel_of(spec)
        attacks = {name: attack.identity() for name, attack in self._panel.items()}
        self._labels = distinct_labels(attacks, {n: _name(a) for n, a in attacks.items()})
        self._baselines = measure_labels(sweep["measures"])
        self._rows: dict[str, dict[tuple[str, int], Row]] = defaultdict(dict)
        self._points: dict[str, region.Point] = {}
        self._best: region.Point | None = None
        self._recommended: str | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        """The ids of all points."""
        return iter(self._rows)

    def take(self, rows: Sequence[Row]) -> list[str]:
        """Notes ledger rows; the ids of the points that they change."""
        touched = dict.fromkeys(row["defence_id"] for row in rows)
        for row in rows:
            trials, key = self._rows[row["defence_id"]], (row["attack_id"], row["seed"])
            trials.pop(key, None)  # one that failed and then finished comes where it finished
            trials[key] = {**row, "config": json.loads(row["config"]), "curve": None}
        for name in touched:
            self._judge(name)
        return list(touched)

    def _judge(self, name: str) -> None:
        ended = [row for row in self._rows[name].values() if row["status"] in (FINISHED, STOPPED)]
        if not ended:
            return
        spec = self._spec
        point = region.point_of(ended, self._panel, spec.seeds, spec.region.confidence)
        self._points[name] = point
        # Of points that are known no figure ever changes again: the best one is the best so far.
        self._best = region.best_point(region.in_order(filter(None, (self._best, point))))

    def stand(self) -> None:
        """Finds the recommended point, for which all are compared."""
        points = region.in_order(self._points.values())
        chosen = region.recommend([self._entry(point) for point in points])
        self._recommended = None if chosen is None else chosen["defence_id"]

    def _entry(self, point: region.Point) -> dict[str, Any]:
        least = region.least_accuracy(self._spec.region, self._best)
        return region.entry_of(point, "", self._panel, self._spec.region, least)

    # --- one card --------------------------------------------------------------------------

    def record(self, name: str) -> PointRecord:
        """The run of a point."""
        rows = self._rows[name]
        point = self._points.get(name)
        entry = {} if point is None else self._entry(point)
        any_row = next(iter(rows.values()))
        ended = max(row["finished_at"] for row in rows.values())
        started = min(row["finished_at"] - (row["seconds"] or 0) for row in rows.values())
        return PointRecord(
            clean_text(defence_name(any_row["config"]["defence"]), NAME_LENGTH),
            self._status(rows),
            round(started * 1000),
            round(ended * 1000),
            texts(self._tags(name, entry, rows)),
            texts(_factors(any_row["config"])),
            dict(self._metrics(entry, rows)),
            tuple(self._series(rows)),
        )

    def _status(self, rows: Mapping[tuple[str, int], Row]) -> str:
        """RUNNING while trials are missing, FAILED where one failed for good, KILLED where one was
        stopped early."""
        attacks = [*self._panel, *(["clean"] if self._spec.baseline else [])]
        if any((attack, seed) not in rows for attack in attacks for seed in self._spec.seeds):
            return "RUNNING"
        ends = {row["status"] for row in rows.values()}
        if ends == {FINISHED}:
            return "FINISHED"
        return "FAILED" if FAILED in ends else "KILLED"

    def _tags(
        self, name: str, entry: Mapping[str, Any], rows: Mapping[tuple[str, int], Row]
    ) -> dict[str, Any]:
        limits, worst = self._spec.region, entry.get("worst_attack")
        failures = [row for row in rows.values() if row["status"] == FAILED]
        last = max(failures, key=lambda row: row["finished_at"], default=None)
        return {
            "sweep_id": self._sweep_id,
            "defence_id": name,
            "by_means": entry.get("by_means", region.INCOMPLETE),
            "by_bounds": entry.get("by_bounds", region.UNDECIDED),
            "recommended": "true" if name == self._recommended else "false",
            "worst_attack": None if worst is None else attack_label(self._panel[worst]),
            "region": f"clean_accuracy >= {limits.rule}, attack_success <= "
            f"{limits.attack_success:g}, confidence {limits.confidence:g}",
            "error": None if last is None else last["error"],
        }

    def _metrics(
        self, entry: Mapping[str, Any], rows: Mapping[tuple[str, int], Row]
    ) -> Iterator[tuple[str, float]]:
        statuses = [row["status"] for row in rows.values()]
        values: dict[str, Any] = {key: entry.get(key) for key in FIGURES}
        if not entry.get("attacks"):
            values["seeds_passing"] = None
        values |= {
            "seeds_done": self._seeds_done(rows),
            "trials_finished": statuses.count(FINISHED),
            "trials_stopped": statuses.count(STOPPED) or None,
            "trials_failed": statuses.count(FAILED),
            "train_seconds": math.fsum(row["seconds"] or 0 for row in rows.values()),
        }
        for attack in entry.get("attacks", ()):
            name = attack["attack_id"]
            floor = self._baselines[measure_id(self._panel[name])]
            values[f"attack_success.{self._labels[name]}"] = attack["attack_success"]
            values[f"baseline_attack_success.{floor}"] = attack["baseline_success"]
        for key, value in values.items():
            if value is not None and not math.isnan(value):
                yield key, float(value)

    def _seeds_done(self, rows: Mapping[tuple[str, int], Row]) -> int:
        """Seeds for which every attack of the panel is finished."""
        done = {key for key, row in rows.items() if row["status"] == FINISHED}
        return sum(all((a, seed) in done for a in self._panel) for seed in self._spec.seeds)

    def _series(self, rows: Mapping[tuple[str, int], Row]) -> Iterator[MetricPoint]:
        """A value a seed, whose number is the step, for each attack: as soon as it is there."""
        for (attack, seed), row in sorted(rows.items()):
            if attack not in self._labels or row["status"] != FINISHED:
                continue
            label, measured = self._labels[attack], row["measurements"][0]
            clean = sum(row["class_correct"]) / sum(row["class_total"])
            yield MetricPoint(f"clean_accuracy_by_seed.{label}", clean, seed)
            if measured["total"]:
                success = measured["success"] / measured["total"]
                yield MetricPoint(f"attack_success_by_seed.{label}", success, seed)


def _name(attack: Mapping[str, Any]) -> str:
    """`patch(size=1) at 0.03`: rates as fractions, since metric names know no percent sign."""
    return f"{kind_label(attack['trigger'])} at {attack['poison_rate']:g}"


def _factors(config: Mapping[str, Any]) -> dict[str, Any]:
    """What all trials of the point share."""
    flat = flatten_factors({**config, "attack": None})
    return {name: value for name, value in flat.items() if not name.startswith("attack.")}
