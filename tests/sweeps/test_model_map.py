"""Maps of P(inside): cells against the probability itself, axes, categories and their drawing."""

import json

import numpy as np
import pytest
from small import small_spec

from backdoor.errors import UserError
from dashboards.model_map import has_model_map, plot_model_map
from dashboards.plot_style import to_svg
from sweeps.levelset.encoding import SpaceDomain
from sweeps.region.model_map import CELLS, explained, maps

DEFENCE = {
    "architecture": ["linear", {"kind": "mlp", "width": 8}],
    "weight_decay": {"log": [0.001, 0.1]},
    "learning_rate": {"log": [0.01, 1]},
}


def domain(**changes):
    return SpaceDomain(
        small_spec(defence=DEFENCE | changes, search={"kind": "random", "points": 9}).defence
    )


def mapped(space, probability):
    points = space.sample(1024, seed=1)
    inside = probability(points)
    names = {0: "linear", 1: "mlp"}
    category = lambda index: {"defence.architecture": names[int(points[index, 0])]}  # noqa: E731
    return maps(space, probability, points, inside, category)


def chances(space):
    """Inside by decay x rate >= 1e-2.5, for linear models alone; the decay counts double."""
    axes = {name: (column, scale) for column, (name, scale) in space.number_axes.items()}

    def probability(points):
        logs = {n: scale.to_value_axis(points[:, c]) for n, (c, scale) in axes.items()}
        above = 2 * logs["weight_decay"] + logs["learning_rate"] + 5
        return np.where(points[:, 0] == 0, 1 / (1 + np.exp(-3 * above)), 0.01)

    return probability


def test_cells_have_the_probability_of_their_middles() -> None:
    space = domain()
    linear, mlp = mapped(space, chances(space))
    assert linear["category"] == {"defence.architecture": "linear"} and linear["averaged"] == []
    assert linear["across"]["factor"] == "weight_decay", "it moves the probability most"
    assert linear["up"]["factor"] == "learning_rate" and linear["up"]["log"]
    decays, rates = linear["across"]["values"], linear["up"]["values"]
    assert len(decays) == len(rates) == CELLS and decays == sorted(decays)
    assert decays[0] == pytest.approx(0.001 * 100 ** (0.5 / CELLS))
    for row in (0, 7, CELLS - 1):
        for column in (0, 20, CELLS - 1):
            above = 2 * np.log10(decays[column]) + np.log10(rates[row]) + 5
            expected = 1 / (1 + np.exp(-3 * above))
            assert linear["probability"][row][column] == pytest.approx(expected, abs=1e-4)
    assert set(np.ravel(mlp["probability"])) == {0.01} and mlp["inside"] == pytest.approx(0.01)


def test_further_factors_are_averaged_and_a_single_one_is_a_line() -> None:
    space = domain(epochs={"int": [1, 9]})
    epochs = next(c for c, (name, _) in space.number_axes.items() if name == "epochs")
    two = chances(space)
    linear = mapped(space, lambda points: two(points) * (0.9 + 0.1 * points[:, epochs]))[0]
    assert linear["averaged"] == ["epochs"]
    assert 0.9 < np.max(linear["probability"]) < 1, "the mean over its values"
    one = domain(learning_rate=0.1)
    found = mapped(one, lambda points: points[:, 1])
    assert all(m["up"] is None and np.shape(m["probability"]) == (1, CELLS) for m in found)
    assert not mapped(domain(learning_rate=0.1, weight_decay=0.1), lambda points: points[:, 0])


def test_explained_is_the_variance_between_parts() -> None:
    values = np.repeat(np.arange(8.0), 10)[::-1]
    assert explained(values, np.where(values < 4, 1.0, 0.0)) == pytest.approx(0.25)
    assert explained(values, np.full(80, 0.3)) == pytest.approx(0)


def test_the_drawing_names_categories_axes_and_levels(monkeypatch) -> None:
    """Of a region that has what is drawn, and nothing else."""
    monkeypatch.setattr("dashboards.model_map.region_from", lambda region: region)
    space = domain()
    found = json.loads(json.dumps(mapped(space, chances(space))))
    region = {"schema_version": 1, "name": "maps", "model": {"maps": found}, "thresholds": {"confidence": 0.9}}  # fmt: skip
    drawn = to_svg(plot_model_map(region), "model")
    for words in ("architecture linear", "architecture mlp", "weight_decay", "learning_rate",
                  "inside with 90 % probability", "the darker, the more probably inside"):  # fmt: skip
        assert words in drawn, words
    for none in ({"maps": []}, None):
        assert not has_model_map({**region, "model": none})
        with pytest.raises(
            UserError, match=r"must have been searched with `search: .* but got 'maps'"
        ):
            plot_model_map({**region, "model": none})
    assert has_model_map(region)
    lines = [{**one, "up": None, "probability": one["probability"][:1]} for one in found]
    drawn = to_svg(plot_model_map({**region, "model": {"maps": lines}}), "model")
    assert "probability of being inside" in drawn and "the darker" not in drawn
