"""Which trials end before their last epoch, and why.

There are two families of rules; nothing else ends a trial because of its figures.

ASHA and the median rule: `rules` says which trials they may stop and by which metrics;
`StoppingScheduler` of `sweeps.runners.tune_schedulers` asks Tune's own schedulers. They run on
Tune only.

`stopping: {kind: certain}` ends trials whose verdict is certain. `predictor` learns limits from
finished trials, `limits` compares a curve with them, and `sweeps.scheduling.sweep_feed` attaches
them to packs. What then ends a trial:

- `CertainScheduler` of `tune_schedulers`, on Tune, where a pack is a single trial that reports
  after every point of its curve (`Pack.may_stop`). It asks for the limits known at that moment.
- `limits.Watch` everywhere else, also in the serial runner: `sweeps.runners.worker` gives it to
  `run_pack` as `on_progress`, with the limits known when the pack was handed out. A trial for which
  it answers True is trained no further; the rest of its pack goes on.

`audit` counts how often a certain verdict was wrong, by holdout trials, which are never stopped.
"""
