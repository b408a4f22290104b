"""The analysis of variance against sums of squares by loops, and tables made by hand."""

import copy
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from made_rows import made
from small import begin, small_spec, sweep

from sweeps.analyses.findings_text import variance_text
from sweeps.analyses.variance import variance
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner
from sweeps.statistics.anova import anova


def by_loops(table):
    """Sums of squares by subset of the axes, the seeds' as blocks and the rest: every fitted value
    by inclusion and exclusion of means, summed value by value."""
    k = table.ndim - 1
    subsets = [s for r in range(k + 1) for s in itertools.combinations(range(k), r)]

    def mean(axes, cell):  # over all values that agree with `cell` on these axes
        total = count = 0.0
        for at in np.ndindex(*table.shape):
            if all(at[axis] == cell[axis] for axis in axes):
                total, count = total + table[at], count + 1
        return total / count

    found = dict.fromkeys(subsets[1:], 0.0)
    of_seeds = rest = 0.0
    for at in np.ndindex(*table.shape):
        parts = {
            s: sum((-1) ** (len(s) - len(t)) * mean(t, at) for t in subsets if set(t) <= set(s))
            for s in subsets
        }
        for s in found:
            found[s] += parts[s] ** 2
        seed = mean((k,), at) - mean((), at)
        of_seeds += seed**2
        rest += (table[at] - sum(parts.values()) - seed) ** 2
    return found, of_seeds, rest


@pytest.mark.parametrize("shape", [(2, 3, 2, 3), (3, 2, 2), (4, 3), (2, 2, 1)])
def test_sums_of_squares_by_loops(shape) -> None:
    table = np.random.default_rng(len(shape)).random(shape)
    found, (subsets, seeds, rest) = anova(table), by_loops(table)
    assert {term.factors: term.ss for term in found.terms} == pytest.approx(subsets)
    assert found.seed.ss == pytest.approx(seeds, abs=1e-12)
    assert found.residual_ss == pytest.approx(rest, abs=1e-12)
    assert found.total_ss == pytest.approx(((table - table.mean()) ** 2).sum())
    parts = sum(subsets.values()) + seeds + rest
    assert parts == pytest.approx(found.total_ss), "the parts are all of it"
    freedom = sum(t.df for t in found.terms) + found.seed.df + found.residual_df
    assert freedom == table.size - 1
    for term in found.terms:
        assert term.eta2 == pytest.approx(subsets[term.factors] / found.total_ss)
        if shape[-1] > 1:
            noise = rest / found.residual_df
            corrected = (subsets[term.factors] - term.df * noise) / (found.total_ss + noise)
            assert term.omega2 == pytest.approx(corrected)
        else:
            assert term.omega2 is None


def test_noise_alone_explains_nothing_once_corrected() -> None:
    draw = np.random.default_rng(0)
    mean = np.mean([[t.omega2 for t in anova(draw.normal(size=(3, 3, 4))).terms] for _ in range(400)], 0)  # fmt: skip
    assert np.abs(mean).max() < 0.02
    raw = np.mean(
        [[t.eta2 for t in anova(draw.normal(size=(3, 3, 4))).terms] for _ in range(400)], 0
    )
    assert raw.min() > 0.04, "which eta2 does not manage"


def test_equal_values_have_no_variance_to_share() -> None:
    assert anova(np.full((2, 3, 2), 0.3)) is None


# --- rows made by hand -------------------------------------------------------------------------


def row(architecture, trigger, regularizer, seed, success, total=100, rate=0.1, **changes):
    attack = {"trigger": {"kind": trigger}, "poison_rate": rate, "label_mode": "all_to_one", "target": 0}  # fmt: skip
    defence = {"architecture": {"kind": architecture}, "regularizer": {"kind": regularizer}, "epochs": 3}  # fmt: skip
    config = {"data": {"kind": "digits"}, "attack": attack, "defence": defence, "training": {}}
    measured = {"measure_id": "m", "success": success, "robust": 0, "total": total}
    point = {"defence_id": architecture + regularizer, "attack_id": trigger, "seed": seed}
    return made(**point | {"config": config, "measurements": [measured]} | changes)


def rows(value, rate=0.1):
    names = (("mlp", "linear"), ("patch", "sine", "warp"), ("none", "cutmix"), range(3))
    return [row(*at, value(*(n.index(a) for n, a in zip(names, at, strict=True))), rate=rate)
            for at in itertools.product(*names)]  # fmt: skip


def terms(stratum):
    return {tuple(term["factors"]): term for term in stratum["terms"]}


def test_what_is_put_in_is_found() -> None:
    found = variance(rows(lambda a, t, r, s: 20 + 30 * t))["strata"][0]
    assert terms(found)[("trigger",)]["eta2"] == pytest.approx(1)
    assert terms(found)[("trigger",)]["eta2_lower"] == pytest.approx(1)
    assert found["mean"] == pytest.approx(0.5) and found["settings"] == {}
    assert (found["cells"], found["missing"], found["models"], found["broken"]) == (12, 0, 36, 0)
    crossed = variance(rows(lambda a, t, r, s: 50 + 10 * (2 * a - 1) * (2 * r - 1)))["strata"][0]
    shares = {name: term["eta2"] for name, term in terms(crossed).items()}
    assert shares.pop(("architecture", "regularizer")) == pytest.approx(1)
    assert max(shares.values()) < 1e-12
    seeds = variance(rows(lambda a, t, r, s: 10 * s + 5 * t))["strata"][0]
    assert terms(seeds)[("seed",)]["ss"] == pytest.approx(12 * 2 * 0.1**2)
    assert terms(seeds)[("residual",)]["ss"] == pytest.approx(0, abs=1e-12)
    sine = next(e for e in seeds["levels"] if e["level"] == "sine to class 0")
    assert sine["mean"] == pytest.approx(0.15)
    assert sine["upper"] - sine["mean"] == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)


def test_a_setting_of_each_architecture_makes_no_strata() -> None:
    """The MLP learns at a rate of its own; epochs that both have in two values do."""
    some = rows(lambda a, t, r, s: 20 + 30 * t + 5 * a)
    for entry in some:
        own = entry.config["defence"]
        own["learning_rate"] = 0.01 if own["architecture"]["kind"] == "mlp" else 0.05
    (found,) = variance(some)["strata"]
    assert found["settings"] == {} and (found["cells"], found["missing"]) == (12, 0)
    assert terms(found)[("architecture",)]["ss"] == pytest.approx(36 * 0.025**2)
    more = copy.deepcopy(some)
    for entry in more:
        entry.config["defence"]["epochs"] = 5
    strata = variance(some + more)["strata"]
    assert [s["settings"] for s in strata] == [{"defence.epochs": 3}, {"defence.epochs": 5}]


def test_strata_are_in_the_order_of_their_numbers() -> None:
    some = []
    for decay in (1e-05, 0.0, 10.0, 0.1, 2.0):
        more = rows(lambda a, t, r, s: 20 + 30 * t + 5 * a)
        for entry in more:
            entry.config["defence"]["weight_decay"] = decay
        some += more
    strata = variance(some)["strata"]
    assert [s["settings"] for s in strata] == [
        {"defence.weight_decay": decay} for decay in (0.0, 1e-05, 0.1, 2.0, 10.0)
    ]


def test_the_interval_draws_seeds() -> None:
    counts = np.random.default_rng(3).integers(0, 100, (2, 3, 2, 3))
    found = variance(rows(lambda *at: int(counts[at])))["strata"][0]
    names = (["linear", "mlp"], ["patch", "sine", "warp"], ["cutmix", "none"])
    table = counts[::-1, :, ::-1] / 100  # levels are in the order of their names
    draws = [anova(table[..., list(c)]) for c in itertools.product(range(3), repeat=3)]
    for place, term in enumerate(found["terms"][:-2]):
        shares = [one.terms[place].eta2 for one in draws]
        assert [term["eta2_lower"], term["eta2_upper"]] == pytest.approx(np.quantile(shares, [0.025, 0.975]))  # fmt: skip
    assert [f["levels"] for f in found["factors"]] == [
        list(names[0]), [f"{n} to class 0" for n in names[1]], list(names[2])]  # fmt: skip


def test_the_logit_scale() -> None:
    found = variance(rows(lambda a, t, r, s: (0, 50, 100)[t]), "logit")["strata"][0]
    ends = math.log(100.5 / 0.5)
    assert found["total_ss"] == pytest.approx(24 * ends**2)
    assert found["mean"] == pytest.approx(0.5), "means stay fractions"


def test_rates_apart_and_rate_0_nowhere() -> None:
    clean = [replace(r, attack_id="clean", config=r.config | {"attack": None}) for r in rows(lambda *_: 1)]  # fmt: skip
    both = rows(lambda a, t, r, s: 90) + rows(lambda a, t, r, s: 10 * t, rate=0.01) + clean
    low, high = variance(both)["strata"]
    assert (low["settings"], high["settings"]) == (
        {"attack.poison_rate": 0.01},
        {"attack.poison_rate": 0.1},
    )
    assert high["mean"] == pytest.approx(0.9) and low["mean"] == pytest.approx(0.1)
    assert high["terms"] == [] and high["total_ss"] is None
    text = variance_text(variance(both))
    assert "At attack.poison_rate 0.01:" in text and "there is no variance to explain" in text
    assert variance_text(variance(clean)) == "No poisoned model has finished."


def test_cells_and_seeds_that_are_missing() -> None:
    some = rows(lambda a, t, r, s: 10 * t)
    found = variance(some[1:])["strata"][0]
    assert found["seeds"] == [1, 2] and found["models"] == 24
    found = variance(some[3:])["strata"][0]
    assert (found["missing"], found["terms"], found["mean"]) == (1, [], None)
    assert "1 of 12 cells have no finished model" in variance_text(variance(some[3:]))
    failed = variance([replace(some[0], status="failed"), *some[1:]])["strata"][0]
    assert failed["seeds"] == [1, 2]
    uncounted = variance([row("mlp", "patch", "none", 0, 0, total=0), *some[1:]])["strata"][0]
    assert uncounted["seeds"] == [1, 2], "a model without an image that counts has no success"


def test_broken_models_are_counted_and_said() -> None:
    some = rows(lambda a, t, r, s: 10 * t)
    some[0] = replace(some[0], collapsed=True)
    some[5] = replace(some[5], diverged=True)
    answer = variance(some)
    assert answer["strata"][0]["broken"] == 2
    assert "2 of them collapsed or diverged and are in the table as counted." in variance_text(
        answer
    )


def test_the_command(tmp_path, capsys) -> None:
    spec = small_spec(
        defence={"architecture": [{"kind": "linear"}, {"kind": "mlp", "width": 16}], "epochs": 2},
        attack={"trigger": [{"kind": "patch", "size": 1}, "sine"], "poison_rate": [0, 0.05]},
    )
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    assert main(["probe", "variance", str(paths.root), "--json", "--scale", "logit"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(json.dumps(variance(Ledger(paths.ledger).trials(), "logit")))
    assert [f["name"] for f in answer["strata"][0]["factors"]] == ["architecture", "trigger"]
    assert main(["probe", "variance", str(paths.root)]) == 0
    out = capsys.readouterr().out
    assert "architecture x trigger" in out and "2 architecture x 2 trigger x 2 seeds" in out
