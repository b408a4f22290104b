"""One poisoned training: the attacker's data, the defender's model, and what came of it.

Reading order: `config` (what a trial is) → `streams` (where chance comes from) →
`datasets.source` and `poison` (what the model is trained on) → `engines` (how it is trained) →
`evaluate` (what is measured) → `trial` (the only entry that sweeps call) → `result` (what it gives
back). Kinds live one to a file in `triggers/`, `regularizers/`, `architectures/`, `datasets/` and
`probes/`; `settings/` says what a kind's settings are.
"""

from backdoor import former_paths

former_paths.install()
