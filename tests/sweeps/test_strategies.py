"""Source classes and cover samples as factors of a spec, from the file to the ledger."""

import pytest
from small import begin, results, small_spec, sweep

from backdoor.errors import UserError
from sweeps.ledger import Ledger, load_results
from sweeps.region.labels import attack_label
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.serial import SerialRunner

RIDGE = {"architecture": "ridge", "weight_decay": 0.1}
ATTACK = {"trigger": ["warp", {"kind": "quantize", "label_mode": "all_to_all"}],
          "cover_rate": [0, 0.1], "poison_rate": [0, 0.05], "target": 3}  # fmt: skip


def test_from_the_spec_to_the_ledger(tmp_path) -> None:
    spec = small_spec(defence=RIDGE, attack=ATTACK, seeds=1)
    assert [attack_label(attack) for attack in spec.panel] == [
        "warp at 5 % to class 3", "warp at 5 % and 10 % covers, to class 3",
        "quantize at 5 % to the next class", "quantize at 5 % and 10 % covers, to the next class",
    ]  # fmt: skip
    assert len(spec.measures) == 2  # a measurement does not depend on rates
    paths = begin(tmp_path / "out", spec)
    assert sweep(paths, spec, SerialRunner()).failed == 0
    for row in results(paths).values():
        attack = row["config"]["attack"]
        expected = (0, 0) if attack is None else (55, 110 if "cover_rate" in attack else 0)
        assert (row["poisoned"], row["covers"]) == expected
    table = load_results(tmp_path / "out")
    assert sorted(table["covers"].to_pylist()) == [0, 0, 0, 0, 110, 110]
    assert region_of(criteria_of(spec), Ledger(paths.ledger), 5)["trials"]["finished"] == 5


def test_classes_of_a_source_may_be_alone_or_together(tmp_path) -> None:
    spec = small_spec(
        defence=RIDGE, seeds=1, attack={"trigger": "patch", "source": [[1, 2], 5], "target": 0}
    )
    assert [attack.source for attack in spec.panel] == [(1, 2), (5,)]
    assert attack_label(spec.panel[0]) == "patch at 1 % from class 1 or 2 to class 0"
    paths = begin(tmp_path / "out", spec)
    sweep(paths, spec, SerialRunner())
    totals = {tuple(row["config"]["attack"]["source"]): (row["measurements"][0]["total"], row["class_total"])
              for row in results(paths).values()}  # fmt: skip
    assert {key: total for key, (total, _) in totals.items()} == {
        key: sum(classes[c] for c in key) for key, (_, classes) in totals.items()
    }


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"attack": {"trigger": "patch", "source": [["a"]]}}, "attack.source[0][0]: must be the name of a class, but got 'a'. Known: 0, 1, 2, 3"),
        ({"attack": {"trigger": "patch", "source": 0}}, "attack.source: must be classes, numbered from 0, without the target class 0"),
        ({"attack": {"panel": "standard-1", "cover_rate": 0.1}}, "attack.cover_rate: is fixed by the panel standard-1"),
        ({"defence": {**RIDGE, "cover_rate": 0.1}}, "defence.cover_rate: does not belong under `defence`"),
        ({"defence": {**RIDGE, "weight_decay": [[1, 2]]}}, "defence.weight_decay: must be a number, but got (1, 2)"),
        ({"attack": {"trigger": "patch", "source": 1, "poison_rate": 0.0975}, "seeds": 9}, "attack.poison_rate: must not exceed the 106 of 1100 training images that are of class 1"),
    ],
)  # fmt: skip
def test_mistakes(section, text) -> None:
    with pytest.raises(UserError) as caught:
        small_spec(**section)
    assert any(str(mistake).startswith(text) for mistake in caught.value.mistakes), caught.value
