"""What was learnt: where clean accuracy stays high and every attack of the panel fails.

`points` gathers rows of the ledger into defence points; `point_table.entry_of` judges them against
the thresholds, by means and by bounds; `best_accuracy` is what `best - x` refers to. They take
`Criteria` instead of a spec, and load no torch. `neighbours` judges them by a model of all of them
together, where their factors have an order. `stability` judges the same points again after small
changes of the criteria, from arrays (`stability_*`). The `model_*` files say what the model of a
region search answers, and `write` writes region.json.

Verdicts are judged in three other places as well: of a point by its probability in
`sweeps.levelset.membership.labels`, of a draw with fresh seeds in `sweeps.verify.judge`, and of a
trial before its end in `sweeps.early_stopping.limits`. Where figures are compared with thresholds
(not probabilities with the confidence), their distance is rounded to
`sweeps.statistics.margins.DIGITS`, and equality passes.
"""
