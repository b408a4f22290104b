"""Where the region of tried points is, what limits it, and its front: counted by hand."""

import itertools
import time

import numpy as np
import pytest

from sweeps.answer.box_axes import factor_axes
from sweeps.answer.box_search import largest
from sweeps.answer.limits import front_lines, front_of, limit_lines, limiting_of
from sweeps.answer.where import where_of
from sweeps.records.outside import misses, value_at

LR, DECAY, KIND = "defence.learning_rate", "defence.weight_decay", "defence.architecture"


def point(number, factors, means="IN", bounds="UNDECIDED", **more):
    """A point of the table, with what is asked of it here."""
    known = {"defence_id": f"p{number}", "factors": factors, "by_means": means, "by_bounds": bounds,
             "attacks": [], "clean_accuracy": 0.95, "broken": 0}  # fmt: skip
    return known | more


def region_of(points, recommended=None, **more):
    chosen = {"defence_id": recommended, "basis": "means", "margin": 0.1} if recommended else None
    return {"points": points, "recommended": chosen} | more


def grid(inside, rates=(0.01, 0.1, 1.0), decays=(0.0, 0.001, 0.01, 0.1), verdict="means"):
    """Every combination, IN where `inside(rate, decay)`."""
    pairs = list(itertools.product(rates, decays))
    words = ["IN" if inside(*pair) else "OUT" for pair in pairs]
    return [
        point(n, {LR: rate, DECAY: decay}, word if verdict == "means" else "IN",
              word if verdict == "bounds" else "UNDECIDED")
        for n, ((rate, decay), word) in enumerate(zip(pairs, words, strict=True))
    ]  # fmt: skip


def test_the_box_of_a_grid_is_counted() -> None:
    """IN: learning rate <= 0.1 and decay >= 0.001, 6 points, and one more that no box can have."""
    points = grid(lambda lr, wd: (lr <= 0.1 and wd >= 0.001) or (lr, wd) == (1.0, 0.0))
    found = where_of(region_of(points, "p1"))
    assert (found["basis"], found["of"], found["rule"]) == ("means", "points", None)
    assert found["box"] == {
        "category": {},
        "intervals": [
            {"factor": "learning_rate", "low": None, "high": 0.1},
            {"factor": "weight_decay", "low": 0.001, "high": None},
        ],
        "precision": 1.0,
        "coverage": 6 / 7,
    }
    assert found["recommended_outside"] is None
    assert found["text"] == [
        "largest box: learning_rate <= 0.1 and weight_decay >= 0.001 (6 of 6 tried points in it "
        "are IN by means; it holds 6 of 7 that are)"
    ]


def test_a_setting_outside_the_box_is_said_to_be_with_its_factor() -> None:
    points = grid(lambda lr, wd: (lr <= 0.1 and wd >= 0.001) or (lr, wd) == (1.0, 0.0))
    found = where_of(region_of(points, "p8"))
    assert found["recommended_outside"] == found["text"][-1]
    assert found["text"][-1] == (
        "The recommended setting lies outside the box (learning_rate 1 > 0.1; weight_decay 0 < "
        "0.001): the box is the largest simple part of the region, and holds 6 of its 7 tried "
        "points. For one setting take the recommended one; the box is for a choice of one's own."
    )


def test_the_surest_verdict_that_any_point_has_is_described() -> None:
    points = grid(lambda lr, wd: lr == 0.01, verdict="bounds")
    found = where_of(region_of(points))
    assert found["basis"] == "bounds" and found["box"]["coverage"] == 1
    assert "learning_rate <= 0.01 (4 of 4 tried points in it are IN by bounds" in found["text"][0]
    for one in points:
        one["by_bounds"], one["by_model"] = "UNDECIDED", "IN" if one["factors"][DECAY] else "OUT"
    found = where_of(region_of(points))
    assert found["basis"] == "model" and "9 of 9 tried points in it are IN by the model" in found["text"][0]  # fmt: skip


def test_nothing_is_described_where_no_point_is_in() -> None:
    nothing = {"basis": None, "of": "points", "box": None, "rule": None,
               "recommended_outside": None, "text": []}  # fmt: skip
    assert where_of(region_of(grid(lambda lr, wd: False))) == nothing
    assert where_of(region_of([])) == nothing
    assert where_of(region_of([point(0, {LR: 0.1}, "INCOMPLETE")])) == nothing


def test_all_points_are_everywhere_and_one_point_is_no_box() -> None:
    found = where_of(region_of(grid(lambda lr, wd: True), "p3"))
    assert found["box"] == {"category": {}, "intervals": [], "precision": 1, "coverage": 1}
    assert found["text"][0].startswith("largest box: everywhere (12 of 12 tried points in it are")
    found = where_of(region_of([point(0, {LR: 0.1})], "p0"))
    assert found["box"] is None and found["basis"] == "means"
    assert found["text"] == [
        "largest box: none holds two points or more, 95 % of them IN by means, and 5 % of all that "
        "are"
    ]


def test_points_without_a_factor_that_differs_have_no_box_but_all() -> None:
    twins = [point(0, {LR: 0.1}), point(1, {LR: 0.1})]
    assert where_of(region_of(twins))["box"]["intervals"] == []
    twins[1]["by_means"] = "OUT"
    assert where_of(region_of(twins))["box"] is None


def test_the_whole_space_is_no_box_though_it_is_95_percent_precise() -> None:
    points = [point(n, {LR: float(n)}, "OUT" if n == 39 else "IN") for n in range(40)]
    (interval,) = where_of(region_of(points))["box"]["intervals"]
    assert interval == {"factor": "learning_rate", "low": None, "high": 38.0}


def test_a_box_may_hold_one_point_of_twenty_that_is_out() -> None:
    points = [point(n, {LR: float(n)}, "OUT" if n in (7, *range(20, 30)) else "IN") for n in range(30)]  # fmt: skip
    found = where_of(region_of(points))
    assert "learning_rate <= 19 (19 of 20 tried points in it" in found["text"][0]
    assert found["box"]["precision"] == pytest.approx(0.95)


def test_categories_are_named_and_points_without_a_verdict_are_left_out() -> None:
    kinds = ["mlp", "linear", "cnn"] * 2
    points = [point(n, {KIND: kind, "defence.augment": n > 2}, "IN" if kind == "mlp" else "OUT")
              for n, kind in enumerate(kinds)]  # fmt: skip
    points.append(point(6, {KIND: "mlp", "defence.augment": False}, "INCOMPLETE"))
    found = where_of(region_of(points))
    assert found["box"]["category"] == {KIND: "mlp"} and found["box"]["intervals"] == []
    assert found["text"] == [
        "largest box: architecture mlp (2 of 2 judged points in it are IN by means; it holds 2 of "
        "2 that are)"
    ]


def test_a_factor_that_a_kind_lacks_has_no_value_in_a_box() -> None:
    """Widths of 32 and more are IN; a linear model has no width, and is OUT."""
    points = [point(n, {KIND: "mlp", "defence.architecture.width": width}, "IN" if width >= 32 else "OUT")
              for n, width in enumerate((8, 16, 32, 64))]  # fmt: skip
    points += [point(4 + n, {KIND: "linear", "defence.architecture.width": None, DECAY: 0.1 * n},
                     "IN" if n == 0 else "OUT") for n in range(3)]  # fmt: skip
    found = where_of(region_of(points, "p4"))
    (interval,) = found["box"]["intervals"]
    assert interval == {"factor": "architecture.width", "low": 32.0, "high": None}
    assert found["box"]["category"] == {KIND: "mlp"}, "what else keeps a width away is said"
    assert (
        "(architecture linear, not mlp; architecture.width has no value there)"
        in found["recommended_outside"]
    )


def test_a_band_of_products_has_a_rule_that_holds_more_than_the_box() -> None:
    rates = decays = (0.001, 0.01, 0.1, 1.0, 10.0)
    points = grid(lambda lr, wd: 1e-3 < lr * wd < 0.5, rates, decays)
    found = where_of(region_of(points, "p4"))
    (interval,) = found["rule"]["intervals"]
    inside = sum(-3 < round(np.log10(a * b)) < 0 for a in rates for b in decays)
    assert interval["factor"] == "learning_rate x weight_decay"
    assert (interval["low"], interval["high"]) == (pytest.approx(0.01), pytest.approx(0.1))
    assert found["rule"]["coverage"] == found["rule"]["precision"] == 1
    assert f"it holds {inside} of {inside} that are)" in found["text"][1]
    assert found["box"]["coverage"] < 0.5
    assert found["recommended_outside"] is None or "the rule (" not in found["recommended_outside"]


def test_no_rule_is_given_from_fewer_than_12_points() -> None:
    points = grid(lambda lr, wd: 5e-4 < lr * wd < 5e-2, (0.01, 0.1, 1.0), (0.001, 0.01, 0.1))
    assert where_of(region_of(points))["rule"] is None


def test_the_largest_box_is_that_of_all_boxes() -> None:
    """Against every box of 30 small tables, one by one."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        rows = [{"a": float(rng.integers(1, 5)), "k": str(rng.integers(3))} for _ in range(12)]
        inside = np.array([row["a"] > 2 or rng.random() < 0.3 for row in rows])
        best = max(_all_boxes(rows, inside), default=None)
        found = largest(factor_axes(rows), inside)
        assert (None if found is None else (found.held, found.held - found.size)) == best


def _all_boxes(rows, inside):
    ends = list(itertools.combinations_with_replacement((1, 2, 3, 4), 2))
    for (low, high), kind in itertools.product(ends, ("0", "1", "2", None)):
        chosen = [low <= row["a"] <= high and kind in (None, row["k"]) for row in rows]
        size, held = sum(chosen), int(inside[chosen].sum())
        if size >= 2 and held >= 0.95 * size and (size < len(rows) or held == size):
            yield held, held - size


def test_many_points_of_many_factors_take_no_time() -> None:
    """Boxes are too many to count: the best one is still found."""
    rng = np.random.default_rng(0)
    rows = 10 ** rng.uniform(-3, 0, (1000, 8))
    inside = (rows[:, 0] > 0.03) & (rows[:, 1] < 0.3)
    points = [point(n, {f"defence.f{k}": float(v) for k, v in enumerate(row)},
                    "IN" if own else "OUT") for n, (row, own) in enumerate(zip(rows, inside, strict=True))]  # fmt: skip
    start = time.process_time()
    found = where_of(region_of(points))
    assert time.process_time() - start < 2
    bounds = {i["factor"]: (i["low"], i["high"]) for i in found["box"]["intervals"]}
    assert bounds == {
        "f0": (pytest.approx(0.03, rel=0.05), None),
        "f1": (None, pytest.approx(0.3, rel=0.05)),
    }
    assert found["box"]["precision"] >= 0.99 and found["box"]["coverage"] >= 0.99


# --- a region search ---------------------------------------------------------------------------


def space(**model):
    return {"points": [], "recommended": None, "model": {"box": None, "rule": None, "recommended": None} | model}  # fmt: skip


BOX = {
    "category": {KIND: "mlp", DECAY: "0.001 to 0.1"},
    "intervals": [{"factor": "learning_rate", "low": None, "high": 0.12},
                  {"factor": "architecture=mlp.width", "low": 16.0, "high": None}],
    "precision": 0.97, "coverage": 0.43,
}  # fmt: skip
INSIDE = {KIND: "mlp", DECAY: 0.1, LR: 0.12, "defence.architecture.width": 16}


def test_the_setting_of_a_model_is_compared_with_its_box() -> None:
    found = where_of(space(box=BOX, recommended={"factors": INSIDE}))
    assert found["basis"] == "model" and found["of"] == "space" and found["box"] == BOX
    assert found["recommended_outside"] is None
    assert found["text"][1:] == ["short rule: none that is 95 % precise"]
    found = where_of(space(box=BOX, recommended={"factors": INSIDE | {LR: 0.3}}))
    assert found["text"][-1] == (
        "The recommended setting lies outside the box (learning_rate 0.3 > 0.12): the box is the "
        "largest simple part of the region, and holds 43 % of it. For one setting take the "
        "recommended one; the box is for a choice of one's own."
    )


def test_one_reason_for_the_box_and_the_rule_is_said_once() -> None:
    rule = BOX | {"category": {}, "intervals": BOX["intervals"][:1]}
    far = {"factors": INSIDE | {LR: 0.3}}
    found = where_of(space(box=BOX, rule=rule, recommended=far))["recommended_outside"]
    assert "outside the box and the rule (learning_rate 0.3 > 0.12): the box is" in found
    found = where_of(space(rule=rule, recommended=far))["recommended_outside"]
    assert "outside the rule (learning_rate 0.3 > 0.12): the rule is a simple part" in found


@pytest.mark.parametrize(
    ("changed", "said"),
    [({KIND: "linear"}, ["architecture linear, not mlp", "architecture=mlp.width has no value there"]),
     ({DECAY: 0.0}, ["weight_decay 0, not 0.001 to 0.1"]),
     ({"defence.architecture.width": 8}, ["architecture=mlp.width 8 < 16"])],
)  # fmt: skip
def test_what_keeps_a_setting_out_of_a_box_is_named(changed, said) -> None:
    assert misses(INSIDE | changed, BOX) == said


def test_products_and_ratios_have_values() -> None:
    factors = {LR: 0.5, DECAY: 0.25, "defence.depth": None}
    assert value_at(factors, "learning_rate x weight_decay") == 0.125
    assert value_at(factors, "learning_rate / weight_decay") == 2
    assert value_at(factors, "learning_rate / depth") is None
    assert value_at(factors, "architecture=mlp.width") is None


def test_a_search_that_cannot_answer_yet_says_nothing() -> None:
    region = {"points": [], "recommended": None, "model": None}
    assert where_of(region)["text"] == [] and where_of(region)["of"] == "space"
    assert limiting_of(region) == front_of(region) == limit_lines(region) == front_lines(region) == []  # fmt: skip


# --- what limits, and the front ----------------------------------------------------------------


def attack(number, clean, success, **more):
    return {"attack_id": f"a{number}", "clean_accuracy": clean, "attack_success": success} | more


def judged(number, *figures, means="OUT", broken=0):
    """figures: (clean accuracy, success) under attacks 1, 2, ... of the panel."""
    attacks = [attack(n, *own) for n, own in enumerate(figures, 1)]
    lowest = min(own["clean_accuracy"] for own in attacks)
    return point(number, {LR: float(number)}, means, attacks=attacks, clean_accuracy=lowest,
                 broken=broken)  # fmt: skip


def limited(points, rates=(0.01, 0.03), least=0.9):
    panel = [{"attack_id": f"a{n}", "label": f"patch at {100 * r:g} %", "poison_rate": r}
             for n, r in enumerate(rates, 1)]  # fmt: skip
    thresholds = {"clean_accuracy": {"value": least}, "attack_success": 0.2}
    return region_of(points, panel=panel, thresholds=thresholds)


TABLE = [
    judged(0, (0.95, 0.1), (0.95, 0.2), means="IN"),
    judged(1, (0.95, 0.1), (0.95, 0.5)),  # attack 2, by 0.3
    judged(2, (0.85, 0.1), (0.84, 0.21)),  # accuracy by 0.06, attack 2 by 0.01
    judged(3, (0.95, 0.4), (0.95, 0.3)),  # attack 1
    judged(4, (0.95, 0.1), (0.89, 0.4)),  # attack 2; accuracy misses under attack 2 alone
    judged(5, (0.95, 0.1), (0.95, 0.1), broken=1),  # misses nothing
    point(6, {LR: 6.0}, "INCOMPLETE", clean_accuracy=None),
]


def test_what_misses_its_threshold_by_most_limits_a_point() -> None:
    region = limited(TABLE)
    assert limiting_of(region) == [
        {"label": "patch at 3 %", "share": 2 / 5},
        {"label": "clean accuracy", "share": 1 / 5},
        {"label": "patch at 1 %", "share": 1 / 5},
        {"label": "collapsed or diverged models", "share": 1 / 5},
    ]
    assert limit_lines(region) == [
        "most frequent reason to be OUT by means: patch at 3 % (2 of 5 points), clean accuracy (1 of "
        "5 points), patch at 1 % (1 of 5 points), collapsed or diverged models (1 of 5 points)"
    ]
    assert limiting_of(limited(TABLE[:1])) == limit_lines(limited(TABLE[:1])) == []


def test_success_above_the_baseline_is_compared_by_its_excess() -> None:
    one = judged(0, (0.8, 0.9), (0.95, 0.3))
    one["attacks"][0]["excess"], one["attacks"][1]["excess"] = 0.1, 0.29
    assert limiting_of(limited([one])) == [{"label": "clean accuracy", "share": 1.0}]
    one["attacks"][1]["excess"] = 0.31
    assert limiting_of(limited([one]))[0]["label"] == "patch at 3 %"


def test_the_front_counts_points_that_withstand_the_weaker_attacks() -> None:
    """Up to 1 %: points 0, 1 and 4; up to 3 %: point 0. Six are judged, and the broken one is IN
    at no rate."""
    region = limited(TABLE)
    assert front_of(region) == [
        {"poison_rate": 0.01, "share": 3 / 6, "lower": None, "upper": None},
        {"poison_rate": 0.03, "share": 1 / 6, "lower": None, "upper": None},
    ]
    assert front_lines(region) == [
        "judged points IN by means against the poison rate: 3 of 6 up to rate 1 %, 1 of 6 up to "
        "rate 3 %"
    ]
    assert front_of(limited(TABLE, rates=(0.01, 0.01))) == []
    assert front_of(limited(TABLE[-1:])) == front_lines(limited(TABLE[-1:])) == []


def test_an_unknown_threshold_limits_by_attacks_alone_and_leaves_no_front() -> None:
    region = limited([judged(0, (0.95, 0.1), (0.95, 0.5), broken=2)], least=None)
    assert limiting_of(region) == [{"label": "patch at 3 %", "share": 1.0}]
    assert [entry["share"] for entry in front_of(region)] == [0, 0]


def test_a_region_search_is_limited_by_its_model() -> None:
    volume = {"fraction": 0.4, "lower": 0.3, "upper": 0.5}
    region = space(
        limits=[{"label": "clean accuracy", "share": 1.0}],
        front=[{"poison_rate": 0.01, "volume": volume}, {"poison_rate": 0.03, "volume": volume}],
    )
    assert limiting_of(region) == region["model"]["limits"]
    assert front_of(region)[1] == {"poison_rate": 0.03, "share": 0.4, "lower": 0.3, "upper": 0.5}
    assert limit_lines(region) == ["most frequent reason to be outside: clean accuracy 100 %"]
    assert front_lines(region) == [
        "volume against the poison rate: 40 % up to rate 1 %, 40 % up to rate 3 %"
    ]
