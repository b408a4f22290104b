"""Work for runners that trains nothing: results by the rates that a test gives."""

from __future__ import annotations

from dataclasses import replace

from trials import fake_result

from sweeps.ledger import finished_rows


def world(rates):
    """Work for a runner. rates(config) gives clean accuracy and attack success."""

    def result(config, measures):
        clean, success = rates(config)
        made = fake_result(config, measures)
        measured = tuple(replace(m, success=round(450 * success)) for m in made.measurements)
        correct = round(500 * clean)
        return replace(
            made, class_correct=(correct,), class_total=(500,), measurements=measured
        )  # fmt: skip

    def work(pack):
        results = [result(config, pack.settings.measures) for config in pack.trials]
        return finished_rows(results, pack.pack_id)

    return work


def sync_state(config):
    """The attack fails from weight decay 0.02 on; accuracy is lost above 0.04."""
    decay = config.defence.weight_decay
    return (0.95 if decay < 0.045 else 0.8), (0.05 if decay > 0.015 else 0.9)
