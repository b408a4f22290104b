"""Poison image data, train on it, and measure what came of it: one training at a time.

Around a training loop of your own:

    from backdoor import evaluate_model, load_data, poison_dataset

    data = load_data("digits", seed=1)
    attack = {"trigger": {"kind": "patch", "size": 2}, "poison_rate": 0.05, "target": 0}
    images, labels, poison = poison_dataset(data.train.images, data.train.labels, attack, seed=1)
    # ... train a model, and write predict(images) → classes ...
    clean, attacked = evaluate_model(predict, data.test.images, data.test.labels, attack, seed=1)
    print(clean.accuracy, attacked.attack_success, attacked.total)

To add a kind, derive a frozen dataclass from `Trigger`, `Architecture` or `Network`, `Regularizer`,
`Dataset` or `Probe`, and declare its settings as fields; README.md of this folder shows how.

These names are what the package offers; they are loaded when they are first used. Everything else
may change. Reading order of the source: `config` (what a trial is) → `streams` (where random
numbers come from) → `datasets.source` and `poison` (what the model is trained on) → `engines` (how
it is trained) → `evaluate` (what is measured) → `trial` (the only entry point that sweeps call) →
`result` (what it returns). Kinds have one file each in `triggers/`, `regularizers/`,
`architectures/`, `datasets/` and `probes/`; `settings/` says what the settings of a kind are.
"""

import lazy_loader

from backdoor import former_paths

former_paths.install()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
