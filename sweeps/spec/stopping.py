"""What must be true of a spec that asks for trials to be stopped early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backdoor.config import Defence
from backdoor.errors import Mistake
from sweeps.early_stopping.rules import last_decision
from sweeps.spec.model import Thresholds
from sweeps.spec.sections import RULE_OPTIONS, StoppingSettings


def check_stopping(
    settings: StoppingSettings,
    defences: Sequence[Defence],
    curve_every: int,
    baseline: bool,
    region: Thresholds | None,
) -> Iterator[Mistake]:
    """Every mistake of the section and of what it needs from the others.

    defences: the ends of the defence space. curve_every: epochs between two decisions, 0 for none.
    baseline: whether rate 0 is among the poison rates.
    """
    yield from _foreign_options(settings)
    if settings.kind == "none":
        return
    if not curve_every:
        rule = "must be at least 1 when trials are stopped: decisions are made on the curve"
        yield Mistake("curve_every", rule, 0, "Leave it out, which means 1, or say how often.")
    elif defences:
        yield from _never_stops(settings, defences, curve_every)
    if region is not None and region.below_best is not None and settings.verdict == "any":
        rule = "must be `fails` where clean_accuracy is `best - x`"
        remedy = "Who passes hangs on the best point; give region.clean_accuracy as a fraction."
        yield Mistake("stopping.verdict", rule, settings.verdict, remedy)
    if region is not None and region.below_best is not None and not baseline:
        rule = "must include 0 when trials are stopped and clean_accuracy is `best - x`"
        remedy = (
            "Add 0: where the most accurate point is stopped, its clean baseline, which never is, "
            "says how good it was. Or give region.clean_accuracy as a fraction."
        )
        yield Mistake("attack.poison_rate", rule, "no rate 0", remedy)


def _foreign_options(settings: StoppingSettings) -> Iterator[Mistake]:
    kind = settings.kind
    for name in sorted(settings.model_fields_set - {"kind"} - RULE_OPTIONS[kind]):
        having = (f"`kind: {other}`" for other, names in RULE_OPTIONS.items() if name in names)
        remedy = f"Remove it, or say {' or '.join(having)}."
        value = getattr(settings, name)
        yield Mistake(f"stopping.{name}", f"has no meaning for `{kind}`", value, remedy)


def _never_stops(
    settings: StoppingSettings, defences: Sequence[Defence], curve_every: int
) -> Iterator[Mistake]:
    trained = [d.epochs for d in defences if d.architecture.trained_by_epochs]
    if not trained:
        rule = "must have something to stop: none of the architectures is trained by epochs"
        remedy = "Remove the section: a closed form is one step, which always runs to its end."
        yield Mistake("stopping", rule, settings.kind, remedy)
        return
    last = last_decision(max(trained), curve_every)
    if settings.grace_period > last:
        rule = "must leave a point of the curve before the last epoch"
        remedy = (
            f"With {max(trained)} epochs and curve_every {curve_every} the last decision is after "
            f"epoch {last}: use at most that."
            if last
            else f"With {max(trained)} epochs and curve_every {curve_every} there is none at all."
        )
        yield Mistake("stopping.grace_period", rule, settings.grace_period, remedy)
