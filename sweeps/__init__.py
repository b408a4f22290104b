"""Many trials: what to try, where to run it, what was learnt.

Reading order: `spec` (the question, from YAML) → `space` and `packs` (what is tried, and what is
trained together) → `scheduling.loop.run_sweep` (the loop; `search/` says what to try, `runners/`
where) → `ledger` (the only record) → `mirror`, `region/` and the report (views of it). `cli` puts
them together.
"""

from backdoor import former_paths

former_paths.install()
