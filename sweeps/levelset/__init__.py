"""Level sets from few noisy trials: where a rate is high enough and several others low enough.

Knows nothing of specs, ledgers or trainings. `columns` describes a mixed space as numbers; `kernel`
and `gaussian_process` are the model of one metric; `model_averaging` adds an alternative to it.
`model` has one on clean accuracy and one on attack success, which `surrogate` fits;
`best_threshold` is a threshold that depends on the best point. `membership`, `excursion_set` and
`volume` turn a model into probabilities, labels and sizes. `acquisition` values the next trials,
and `search` is the ask-and-tell loop. `encoding` reads a spec's space. Only numpy and scipy are
needed.
"""
