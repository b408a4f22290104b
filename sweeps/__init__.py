"""Ask with which training settings a model stays accurate while backdoors in its data fail.

A question, its trainings and its answer, without YAML:

    from sweeps import load_results, read_region, run_sweep

    question = {
        "name": "digits-in-python",
        "data": "digits",
        "defence": {"architecture": ["ridge"], "weight_decay": [0.01, 0.1, 0.2, 0.3]},
        "attack": {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.03]},
        "seeds": 3,
        "region": {"clean_accuracy": "best - 0.05", "attack_success": 0.2},
    }
    outcome = run_sweep(question, out="results/digits-in-python", runner="serial")
    region = read_region(outcome.folder)          # the defence points, judged; the recommended one
    rows = load_results(outcome.folder).to_pandas()

`dashboards` draws the region and writes the report. `LevelSetSampler` is for Optuna studies of
your own; `ReplayRunner` answers from recorded trainings instead of new ones.

These names are what the package offers; they are loaded when they are first used. Everything else
may change. Reading order of the source: `spec` (the question) → `space` and `packs` (what is tried,
and what is trained together) → `scheduling.loop` (the loop; `search/` says what to try, `runners/`
where) → `ledger` (the only record) → `mirror`, `region/` and the report (views of it). `driver`
puts them together for Python, `cli` for the command line.
"""

from sweeps import module_path  # noqa: F401  (first: it decides what the others are)

# isort: split
import lazy_loader

from backdoor import former_paths

former_paths.install()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
