"""The bundled sweep of the demo gives the answers that the README promises, for three seed bases."""

import pytest
from small import begin, sweep

from sweeps.ledger import Ledger
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.serial import SerialRunner
from sweeps.spec import load_spec


def region(tmp_path, *changes):
    spec = load_spec("digits", ["tracking=none", *changes])
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, SerialRunner())
    assert outcome.failed == 0
    return region_of(criteria_of(spec), Ledger(paths.ledger), outcome.finished)


@pytest.mark.slow
@pytest.mark.parametrize("base", [0, 1000, 2000])
def test_inside_and_outside_are_each_a_tenth_of_the_points(tmp_path, base) -> None:
    found = region(tmp_path, f"seeds.base={base}")
    assert found["trials"]["finished"] == 756
    counts, points = found["counts"]["by_means"], len(found["points"])
    assert points == 36 and counts["INCOMPLETE"] == 0
    assert counts["IN"] >= points / 10 and counts["OUT"] >= points / 10
    assert sum(found["counts"]["by_bounds"].values()) == points
    assert found["recommended"]["margin"] > 0


def test_ten_percent_of_poison_leaves_no_region(tmp_path) -> None:
    found = region(tmp_path, "attack.poison_rate=[0, 0.1]")
    assert found["counts"]["by_means"]["IN"] == 0
    assert found["recommended"] is None
