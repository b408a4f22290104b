"""What a spec may say of its search, and what Optuna is loaded for."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from small import SMALL

from backdoor.errors import UserError
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.spec import parse_spec
from sweeps.spec.samplers import SAMPLERS, check_options
from sweeps.spec.sections import SearchSettings

ROOT = Path(__file__).parents[2]


def optuna(**settings):
    return {"kind": "optuna", "points": 5, **settings}


WRONG_SEARCHES = [
    ({"kind": "sobol"}, "search.points: must be given for `sobol`"),
    ({"kind": "optuna"}, "search.points: must be given for `optuna`"),
    ({"kind": "random", "points": 3, "sampler": "gp"}, "search.sampler: has no meaning for `random`, but got 'gp'"),
    ({"kind": "grid", "pending": 3}, "search.pending: has no meaning for `grid`, but got 3"),
    ({"kind": "sobol", "points": 3, "options": {}}, "search.options: has no meaning for `sobol`"),
    ({"kind": "region"}, "search.budget: must be given for `region`"),
    ({"kind": "region", "budget": 50, "points": 5}, "search.points: has no meaning for `region`, but got 5"),
    ({"kind": "region", "budget": 50, "sampler": "gp"}, "search.sampler: has no meaning for `region`, but got 'gp'"),
    ({"kind": "region", "budget": 0}, "search.budget: must be greater than or equal to 1"),
    ({"kind": "region", "budget": {"hours": 3}}, "search.budget: is not a known key"),
    ({"kind": "region", "budget": {"gpu_hours": 3.0}}, "search.budget.gpu_hours: needs `resources.gpu` above 0, but got 3.0"),
    ({"kind": "grid", "budget": 50}, "search.budget: has no meaning for `grid`, but got 50. Remove it, or use {kind: region, budget: ...}."),
    (optuna(sampler="tbe"), "search.sampler: must be one of tpe, nsga2, gp, qmc, random, but got 'tbe'. Did you mean 'tpe'?"),
    (optuna(pending=0), "search.pending: must be greater than or equal to 1, but got 0"),
    (optuna(options={"n_startup_trails": 3}),
     "search.options.n_startup_trails: is not an option of `tpe` that a spec can set, but got 3. Did you mean 'n_startup_trials'?"),
    (optuna(sampler="random", options={"scramble": True}),
     "search.options.scramble: is not an option of `random` that a spec can set, but got True. Nothing is known here."),
    (optuna(options={"gamma": 3}), "search.options.gamma: is not an option of `tpe` that a spec can set"),
    (optuna(options={"seed": 3}), "search.options.seed: is no option of a sampler here, but got 3. Set `search.seed`."),
    (optuna(options={"n_startup_trials": "many"}), "search.options.n_startup_trials: must be a whole number, but got 'many'"),
    (optuna(options={"constant_liar": 1}), "search.options.constant_liar: must be true or false, but got 1"),
    (optuna(sampler="nsga2", options={"mutation_prob": "x"}), "search.options.mutation_prob: must be a number, but got 'x'"),
    (optuna(sampler="nsga2", options={"population_size": 1}),
     "search.options: must suit NSGAIISampler, but got {'population_size': 1}. Optuna says: `population_size` must be greater"),
    (optuna(sampler="qmc", options={"qmc_type": "sobel"}), "search.options: must suit QMCSampler"),
    (optuna(options={"group": True, "multivariate": False}), "search.options: must suit TPESampler"),
]  # fmt: skip


@pytest.mark.parametrize(("search", "text"), WRONG_SEARCHES)
def test_wrong_searches(search, text) -> None:
    with pytest.raises(UserError) as caught:
        parse_spec({**SMALL, "search": search})
    assert len(caught.value.mistakes) == 1
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("tpe", {"multivariate": True, "group": True, "n_startup_trials": 5, "constant_liar": False}),
        ("nsga2", {"population_size": 8, "mutation_prob": None, "crossover_prob": 1}),
        ("gp", {"n_startup_trials": 3, "deterministic_objective": True}),
        ("qmc", {"qmc_type": "halton", "scramble": True}),
        ("random", {}),
    ],
)  # fmt: skip
def test_options_that_a_sampler_takes(sampler, options, capfd) -> None:
    assert check_options(sampler, options) == []
    assert parse_spec({**SMALL, "search": optuna(sampler=sampler, options=options)})
    assert capfd.readouterr().err == ""


def test_the_spec_names_the_samplers_that_there_are() -> None:
    assert get_args(SearchSettings.model_fields["sampler"].annotation) == tuple(SAMPLERS)


def test_check_says_how_much_an_adaptive_search_may_train(tmp_path, capsys) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({**SMALL, "search": optuna(points=3)}))
    assert main(["check", str(spec)]) == FINE
    out = capsys.readouterr().out
    assert "3 defence points x 2 attacks and the clean baseline x 2 seeds" in out
    assert "18 trials at most, chosen as results come in" in out
    spec.write_text(yaml.safe_dump({**SMALL, "search": optuna(points=99)}))
    assert main(["check", str(spec)]) == FINE
    assert "4 defence points x" in capsys.readouterr().out
    spec.write_text(yaml.safe_dump({**SMALL, "search": optuna(options={"n_ei_candidate": 3})}))
    assert main(["check", str(spec)]) == WRONG
    assert "Did you mean 'n_ei_candidates'?" in capsys.readouterr().err


def test_check_says_what_a_region_search_chooses_among(capsys) -> None:
    assert main(["check", "digits-region"]) == FINE
    said = capsys.readouterr()
    assert (
        "single trials: any defence point, 3 attacks, 100 seeds\n  800 trials at most" in said.out
    )
    assert "seeds to draw from" not in said.err and "clean baseline" not in said.err
    assert main(["check", "digits-region", "--set", "seeds=3"]) == FINE
    said = capsys.readouterr()
    assert "note: 3 seeds to draw from are few" in said.err and "3 attacks, 3 seeds" in said.out


@pytest.mark.parametrize(
    ("search", "loaded"),
    [
        ("grid", "False"),
        pytest.param("{kind: optuna, points: 2}", "True", marks=pytest.mark.slow),
    ],
)
def test_optuna_is_loaded_only_where_it_is_named(search, loaded) -> None:
    arguments = ["check", "digits", "--set", f"search={search}"]
    code = f"import sys\nfrom sweeps.cli.main import main\nassert main({arguments!r}) == 0\nprint('optuna' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.split()[-1] == loaded, run.stderr
