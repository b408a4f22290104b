"""One poisoned training: the attacker's data, the defender's model, and its results.

Reading order: `config` (what a trial is) → `streams` (where random numbers come from) →
`datasets.source` and `poison` (what the model is trained on) → `engines` (how it is trained) →
`evaluate` (what is measured) → `trial` (the only entry point that sweeps call) → `result` (what it
returns). Kinds have one file each in `triggers/`, `regularizers/`, `architectures/`, `datasets/`
and `probes/`; `settings/` says what the settings of a kind are.
"""

from backdoor import former_paths

former_paths.install()
