"""What was learnt: where clean accuracy stays high and every attack of the panel fails.

`points` gathers rows of the ledger into defence points; `point_table` judges them against the
thresholds, by means and by bounds; `best` is the accuracy that `best - x` refers to. The `model_*`
files say what the model of a region search answers, and `write` writes region.json.

Verdicts are judged in three other places as well: of a point by its probability in
`sweeps.levelset.membership.labels`, of a draw with fresh seeds in `sweeps.verify.judge`, and of a
trial before its end in `sweeps.early_stopping.limits`. Figures are compared
with thresholds after rounding to `sweeps.statistics.margins.DIGITS`, and equality passes.
"""
