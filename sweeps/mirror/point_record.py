"""What the MLflow run of a defence point shows: a pure function of the spec and the ledger's rows.

Its figures are those of region.json, by the same functions. Like there, a point has figures once
every attack of the panel has every seed; until then its run counts what is done.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backdoor.config import measure_id
from backdoor.settings.digest import digest
from sweeps.ledger import CLEAN, FAILED, FINISHED, STOPPED, flatten_factors
from sweeps.mirror.point_judgements import (
    TRANSIENT_TAGS as JUDGEMENT_TAGS,
)
from sweeps.mirror.point_judgements import (
    judgement_metrics,
    judgement_tags,
    no_more_trials,
    recommended_point,
)
from sweeps.mirror.run_record import (
    NAME_LENGTH,
    MetricPoint,
    clean_text,
    defence_name,
    distinct_labels,
    measure_labels,
    texts,
)
from sweeps.records.criteria import REGION_SEARCH
from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import TrialRow
from sweeps.region import point_table as region
from sweeps.region.labels import attack_label, kind_label
from sweeps.region.panel import attacks_by_id
from sweeps.region.points import Point, bounded, in_order, modes_of, point_of
from sweeps.region.seed_modes import ONE_MODE
from sweeps.spec import SweepSpec

#: Figures of region.json that are metrics of the same name.
FIGURES = (
    "clean_accuracy",
    "clean_lower",
    "clean_upper",
    "validation_accuracy",
    "attack_success",
    "success_lower",
    "success_upper",
    "seeds_passing",
    "margin",
    "baseline_accuracy",
)
#: The tag whose value depends on everything that the run shows except its status.
STATE = "mirrored_state"
#: Tags that a point may lose again.
TRANSIENT_TAGS = ("error", *JUDGEMENT_TAGS)

#: The rows of a point by attack id and seed.
PointRows = Mapping[tuple[str, int], TrialRow]


@dataclass(frozen=True)
class PointRecord:
    """All that a run shows. Times are milliseconds since 1970.

    status: RUNNING until every trial is recorded, or no more come. metrics: their latest values.
    series: values by seed. tags: without the one that says that all has been written.
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
        """A digest of what the run shows, without its status."""
        series = [(point.key, point.value, point.step) for point in self.series]
        return digest("point-run", [self.name, self.tags, self.params, self.metrics, series])

    @property
    def judged(self) -> bool:
        return self.tags["by_means"] != region.INCOMPLETE


class PointRecords:
    """Makes the runs of one sweep's points. Only `compare` looks at all of them; the others cost as
    much as there is new.

    sweep: the content of sweep.json.
    """

    def __init__(self, sweep: SweepFile, spec: SweepSpec) -> None:
        self._spec, self._sweep_id = spec, sweep["sweep_id"]
        self._panel = attacks_by_id(spec)
        self._measures = {name: measure_id(attack) for name, attack in self._panel.items()}
        attacks = {name: attack.identity() for name, attack in self._panel.items()}
        self._labels = distinct_labels(attacks, {n: _name(a) for n, a in attacks.items()})
        self._baselines = measure_labels(sweep["measures"])
        self._rows: dict[str, dict[tuple[str, int], TrialRow]] = defaultdict(dict)
        self._points: dict[str, Point] = {}
        self._best: Point | None = None
        self._recommended: str | None = None
        self._modes = ONE_MODE
        self._answered: dict[str, PointEntry] = {}  # as the answer has them, since it was given
        self._ended = False  # whether no trial is missing that may still come

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        """The ids of all points."""
        return iter(self._rows)

    def add(self, rows: Sequence[TrialRow]) -> list[str]:
        """Takes rows of the ledger; the ids of the points that they change."""
        changed = dict.fromkeys(row.defence_id for row in rows)
        for row in rows:
            trials, key = self._rows[row.defence_id], (row.attack_id, row.seed)
            trials.pop(key, None)  # one that failed and then finished is placed where it finished
            trials[key] = replace(row, curve=())  # curves are not shown, and are most of a row
        for name in changed:
            self._answered.pop(name, None)  # the answer did not know these rows
            self._judge(name)
        return list(changed)

    def _judge(self, name: str) -> None:
        ended = [row for row in self._rows[name].values() if row.status in (FINISHED, STOPPED)]
        if not ended:
            return
        spec = self._spec
        confidence = spec.region.confidence
        point = point_of(ended, self._panel, spec.seeds, confidence, self._modes)
        self._points[name] = point
        # Figures of complete points never change again: only this one can be better than the best.
        self._best = region.best_point(in_order(filter(None, (self._best, point))))

    def compare(self) -> None:
        """Finds the recommended point among all, and by all whether seeds have two modes, as
        region.json does: their bounds depend on it."""
        self._answered, self._ended = {}, False
        points = in_order(self._points.values())
        self._modes = modes_of(points)
        points = bounded(points, self._spec.region.confidence, self._modes)
        self._points = {point.defence_id: point for point in points}
        chosen = region.recommend([self._entry(point) for point in points])
        self._recommended = None if chosen is None else chosen["defence_id"]

    def answer(self, answer: RegionFile) -> None:
        """Takes the verdicts and the figures of region.json, which judges all points together."""
        self._answered = {entry["defence_id"]: entry for entry in answer["points"]}
        self._recommended = recommended_point(answer)
        # A region search completes no points: what it did not choose to train does not come.
        self._ended = self._spec.search.kind == REGION_SEARCH or no_more_trials(answer)

    def _entry(self, point: Point) -> PointEntry:
        if (answered := self._answered.get(point.defence_id)) is not None:
            return answered
        least = region.least_accuracy(self._spec.region, self._best)
        return region.entry_of(point, "", self._measures, self._spec.region, least)

    # --- one run ---------------------------------------------------------------------------

    def record(self, name: str) -> PointRecord:
        """The run of a point."""
        rows = self._rows[name]
        point = self._points.get(name)
        entry = None if point is None else self._entry(point)
        any_row = next(iter(rows.values()))
        ended = max(row.finished_at for row in rows.values())
        started = min(row.finished_at - (row.seconds or 0) for row in rows.values())
        return PointRecord(
            clean_text(defence_name(any_row.config["defence"]), NAME_LENGTH),
            self._status(rows),
            round(started * 1000),
            round(ended * 1000),
            texts(self._tags(name, entry, rows)),
            texts(_factors(any_row.config)),
            dict(self._metrics(entry, rows)),
            tuple(self._series(rows)),
        )

    def _status(self, rows: PointRows) -> str:
        """RUNNING while trials may come, FAILED where one failed for good, KILLED where one was
        stopped early."""
        attacks = [*self._panel, *([CLEAN] if self._spec.baseline else [])]
        planned = ((attack, seed) for attack in attacks for seed in self._spec.seeds)
        if self._waits or (not self._ended and any(key not in rows for key in planned)):
            return "RUNNING"
        ends = {row.status for row in rows.values()}
        if ends == {FINISHED}:
            return "FINISHED"
        return "FAILED" if FAILED in ends else "KILLED"

    @property
    def _waits(self) -> bool:
        """Whether nobody can know yet if a point lacks trials: a region search has chosen some."""
        return self._spec.search.kind == REGION_SEARCH and not self._ended

    def _tags(self, name: str, entry: PointEntry | None, rows: PointRows) -> dict[str, Any]:
        limits, worst = self._spec.region, entry["worst_attack"] if entry else None
        failures = [row for row in rows.values() if row.status == FAILED]
        last = max(failures, key=lambda row: row.finished_at, default=None)
        return {
            "sweep_id": self._sweep_id,
            "defence_id": name,
            "by_means": entry["by_means"] if entry else region.INCOMPLETE,
            "by_bounds": entry["by_bounds"] if entry else region.UNDECIDED,
            **judgement_tags(entry),
            "recommended": "true" if name == self._recommended else "false",
            "worst_attack": None if worst is None else attack_label(self._panel[worst]),
            "region": f"clean_accuracy >= {limits.rule}, attack_success <= "
            f"{limits.attack_rule}, confidence {limits.confidence:g}",
            "error": None if last is None else last.error,
        }

    def _metrics(self, entry: PointEntry | None, rows: PointRows) -> Iterator[tuple[str, float]]:
        statuses = [row.status for row in rows.values()]
        figures: Mapping[str, object] = entry or {}
        attacks = entry["attacks"] if entry else []
        values: dict[str, Any] = {key: figures.get(key) for key in FIGURES}
        if not attacks:
            values["seeds_passing"] = None
        values |= {
            "seeds_done": self._seeds_done(rows),
            "trials_finished": statuses.count(FINISHED),
            "trials_stopped": statuses.count(STOPPED) or None,
            "trials_failed": statuses.count(FAILED),
            "train_seconds": math.fsum(row.seconds or 0 for row in rows.values()),
        }
        values |= dict(judgement_metrics(entry))
        for attack in attacks:
            name = attack["attack_id"]
            floor = self._baselines[self._measures[name]]
            values[f"attack_success.{self._labels[name]}"] = attack["attack_success"]
            values[f"baseline_attack_success.{floor}"] = attack["baseline_success"]
        for key, value in values.items():
            if value is not None and not math.isnan(value):
                yield key, float(value)

    def _seeds_done(self, rows: PointRows) -> int:
        """Seeds for which every attack of the panel is finished."""
        done = {key for key, row in rows.items() if row.finished}
        return sum(all((a, seed) in done for a in self._panel) for seed in self._spec.seeds)

    def _series(self, rows: PointRows) -> Iterator[MetricPoint]:
        """For each attack a value a seed, whose number is the step, as soon as it is known."""
        for attack, seed in sorted(rows):
            row, label = rows[attack, seed], self._labels.get(attack)
            if label is None or not row.finished:
                continue
            clean = row.clean_correct / row.clean_total
            yield MetricPoint(f"clean_accuracy_by_seed.{label}", clean, seed)
            if row.attack_success is not None:
                yield MetricPoint(f"attack_success_by_seed.{label}", row.attack_success, seed)


def _name(attack: Mapping[str, Any]) -> str:
    """`patch(size=1) at 0.03`: rates as fractions, since metric names allow no percent sign."""
    return f"{kind_label(attack['trigger'])} at {attack['poison_rate']:g}"


def _factors(config: Mapping[str, Any]) -> dict[str, Any]:
    """What all trials of the point share."""
    flat = flatten_factors({**config, "attack": None})
    return {name: value for name, value in flat.items() if not name.startswith("attack.")}
