"""The report's part on probes: medians and ranges over seeds, the clean model beside them."""

import math
import re
from pathlib import Path

import pytest
from small import begin, small_spec, sweep

from dashboards.probe_curves import series
from dashboards.probes import findings
from dashboards.report import write_report
from dashboards.results import read_results
from sweeps.answer.write import write_region
from sweeps.ledger import load_probe_results
from sweeps.runners.serial import SerialRunner


def test_series_are_medians_and_ranges_of_what_is_known() -> None:
    rows = [
        {"x": x, "y": y, "clean": None}
        for x, y in [(2, 0.3), (0, 0.9), (0, 0.1), (0, 0.5), (2, math.nan), (None, 0.4)]
    ]
    assert series(rows, "x", "y") == [(0, 0.5, 0.1, 0.9), (2, 0.3, 0.3, 0.3)]
    assert series(rows, "x", "clean") == [] and series(rows, "x", "unknown") == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    spec = small_spec(
        probes=[{"kind": "persistence", "epochs": 2, "every": 2}, "fake_probes:Counting", "fake_probes:Uneven"],
        defence={"architecture": "linear", "weight_decay": [0, 0.03], "epochs": 3},
    )  # fmt: skip
    paths = begin(tmp_path_factory.mktemp("probes") / "r", spec)
    sweep(paths, spec, SerialRunner())
    write_region(paths, spec)
    return paths.root


def test_what_there_is_to_draw(folder) -> None:
    counting, uneven, persistence = load_probe_results(folder)
    assert (counting.x, counting.figures) == (None, ("figure",)) and len(counting.rows) == 8
    assert persistence.x == "step"
    assert persistence.figures == ("clean_accuracy", "attack_success", "robust_accuracy")
    assert uneven.rows == [] and list(uneven.failed.values()) == [12]


def test_the_part_of_the_report(folder) -> None:
    page = write_report(folder).read_text()
    part = page[page.index("What probes found") : page.index("<h2>All defence points")]
    text = " ".join(re.sub(r"<[^>]+>", " ", part).split())
    assert "persistence (batch_size 32, clean_fraction 0.05, epochs 2, every 2" in text
    assert "found something on 12 trained models" in text
    assert "It failed on 12 models: ValueError: columns of a result must have one length" in text
    assert part.count("<svg") == 1
    for words in ("clean accuracy", "attack success", "robust accuracy", "clean model"):
        assert words in text
    # A row for each point and attack: the median of two seeds, and the range.
    rows = [row for row in load_probe_results(folder)[0].rows if row["seed"] in (0, 1)]
    first = sorted(
        row["figure"] for row in rows
        if (row["defence_id"], row["attack_id"]) == (rows[0]["defence_id"], rows[0]["attack_id"])
    )  # fmt: skip
    assert len(first) == 2
    assert f"{sum(first) / 2:.3g} ({first[0]:.3g} to {first[1]:.3g})" in text
    assert write_report(folder).read_text() == page, "equal folders give equal bytes"


def test_a_sweep_without_probes_has_no_such_part(tmp_path) -> None:
    spec = small_spec(seeds=1)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    write_region(paths, spec)
    assert findings(read_results(paths.root)) == []
    assert "What probes found" not in write_report(paths.root).read_text()
