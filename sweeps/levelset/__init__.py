"""Level sets from few noisy trials: where a rate is high enough and several others low enough.

Knows nothing of specs, ledgers or trainings: `columns` describes the mixed space as numbers,
`kernel` and `process` are the Gaussian process, `surrogate` puts one on clean accuracy and one on
attack success, `membership` turns them into probabilities and labels, `acquire` values the next
trials, and `search` is the ask-and-tell loop. `encoding` reads a spec's space. Only numpy and
scipy are needed.
"""
