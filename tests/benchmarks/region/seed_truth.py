"""Real sweeps with many seeds a point, kept as counts: truth by all seeds, sweeps by a few of them.

A file of `truth/` holds a sweep's counts: one row a trial, without its clean baselines. They are
written by `python tests/benchmarks/certain.py --keep FOLDER FILE` from a results folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.ledger import Ledger
from sweeps.records.criteria import Criteria
from sweeps.records.thresholds import Thresholds
from sweeps.region.best_accuracy import AccuracyReference
from sweeps.region.points import AttackFigures, Point, bounded, factors_of, modes_of
from sweeps.results.stored import stored_criteria
from sweeps.statistics.seed_bounds import Rate
from sweeps.storage.paths import SweepPaths, read_sweep

HOME = Path(__file__).parent.parent / "truth"
COUNTS = ("correct", "images", "success", "triggered", "validated", "validation")


@dataclass(frozen=True)
class Truth:
    """counts: (6, points, attacks, seeds), in the order of `COUNTS`. factors: of each point."""

    name: str
    counts: np.ndarray
    factors: list[dict]
    criteria: Criteria

    @property
    def seeds(self):
        return self.counts.shape[3]

    def points(self, seeds):
        """The points of a sweep that had these seeds, with bounds, and what its criteria are."""
        own = self.counts[..., seeds].astype(int)
        points = [self._point(index, own[:, index]) for index in range(own.shape[1])]
        criteria = replace(self.criteria, seeds=tuple(range(len(seeds))))
        modes = modes_of(points)
        return bounded(points, criteria.thresholds.confidence, modes), criteria, modes

    def _point(self, index, counts):
        """A point from (6, attacks, seeds) counts."""
        correct, images, success, triggered, validated, validation = counts
        rates = validated / validation
        accuracy = correct / images
        figures = {
            name: AttackFigures(
                dict(enumerate(zip(correct[a].tolist(), images[a].tolist(), strict=True))),
                dict(enumerate(zip(success[a].tolist(), triggered[a].tolist(), strict=True))),
                rates[a].tolist(),
                Rate(float(accuracy[a].mean()), None, None),
                Rate(float((success[a] / triggered[a]).mean()), None, None),
            )
            for a, name in enumerate(self.criteria.measures)
        }
        means = float(rates.mean(1).min()), float(accuracy.mean(1).min())
        unbroken = AccuracyReference(*means, "panel")
        return Point(f"point {index}", self.factors[index], [], figures, unbroken=unbroken)


def keep(folder, file):
    """Writes the counts of a results folder."""
    paths = SweepPaths(Path(folder))
    criteria = stored_criteria(read_sweep(paths))
    rows = [row for row in Ledger(paths.ledger).trials() if row.finished and not row.is_clean]
    table = pa.table(
        {
            "point": [row.defence_id for row in rows],
            "attack": [row.attack_id for row in rows],
            "seed": pa.array([row.seed for row in rows], pa.int16()),
            "correct": pa.array([row.clean_correct for row in rows], pa.int32()),
            "images": pa.array([row.clean_total for row in rows], pa.int32()),
            "success": pa.array([row.measurements[0].success for row in rows], pa.int32()),
            "triggered": pa.array([row.measurements[0].total for row in rows], pa.int32()),
            "validated": pa.array([row.validation_correct for row in rows], pa.int32()),
            "validation": pa.array([row.validation_total for row in rows], pa.int32()),
        }
    ).sort_by([("point", "ascending"), ("attack", "ascending"), ("seed", "ascending")])
    factors = {row.defence_id: factors_of(row) for row in rows}
    note = {"factors": factors, "panel": list(criteria.panel), "name": criteria.name,
            "thresholds": vars(criteria.thresholds)}  # fmt: skip
    table = table.replace_schema_metadata({"truth": json.dumps(note)})
    pq.write_table(table, file, compression="zstd", compression_level=19)


def load(name):
    """The truth of this name."""
    table = pq.read_table(HOME / f"{name}.parquet")
    note = json.loads(table.schema.metadata[b"truth"])
    ids, attacks = sorted(note["factors"]), [entry["attack_id"] for entry in note["panel"]]
    rows = table.to_pydict()
    number = {each: index for index, each in enumerate(ids)}
    place = {each: index for index, each in enumerate(attacks)}
    where = (
        [number[each] for each in rows["point"]],
        [place[each] for each in rows["attack"]],
        rows["seed"],
    )
    counts = np.zeros((len(COUNTS), len(ids), len(attacks), max(rows["seed"]) + 1))
    for index, column in enumerate(COUNTS):
        counts[index][where] = rows[column]
    criteria = Criteria(
        name=note["name"],
        panel=tuple(note["panel"]),
        seeds=(),
        thresholds=Thresholds(**note["thresholds"]),
        search="grid",
    )
    return Truth(name, counts, [note["factors"][each] for each in ids], criteria)
