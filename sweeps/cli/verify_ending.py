"""What follows a verification: the sweep's answer is written again, and trainings are fed back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backdoor.errors import UserError
from backdoor.wording import counted
from sweeps.cli.console import say

if TYPE_CHECKING:
    from sweeps.records.region_file import RegionFile
    from sweeps.spec import SweepSpec
    from sweeps.storage.paths import SweepPaths


def renewed(paths: SweepPaths, trials: bool = False) -> RegionFile:
    """The region, written again, with the report where there is one, and MLflow's description; what
    cannot be written is a note: the verification itself is recorded. trials: whether the sweep has
    new ones, which MLflow is to have too."""
    from sweeps.ledger import Ledger
    from sweeps.mirror import mirror_answer
    from sweeps.results.update_region import update_region

    ledger = Ledger(paths.ledger)
    region = update_region(paths, ledger, say)
    if paths.report.is_file():
        _renew_report(paths, ledger, region)
    if mirror_answer(paths, say) and trials:
        _mirror_trials(paths)
    return region


def _renew_report(paths: SweepPaths, ledger: Any, region: RegionFile) -> None:
    from dashboards.report import write_report

    try:
        write_report(paths.root, None, ledger, json.loads(json.dumps(region)))
    except (OSError, UserError) as error:
        say(f"note: {paths.report} was not written ({error}); `sweeps report` does")


def _mirror_trials(paths: SweepPaths) -> None:
    """Sends trainings that were fed back to an experiment that is there, with the answer."""
    from sweeps.mirror import mirror
    from sweeps.mirror.answer import not_told

    try:
        mirror(paths)
    except Exception as error:  # whatever MLflow's stores raise
        say(not_told(paths, error))


def said_learned(paths: SweepPaths, spec: SweepSpec, verification_id: str) -> dict[str, Any]:
    """Feeds the trainings of an answered verification back into the search, and says so."""
    from sweeps.ledger import Ledger
    from sweeps.storage.files import locked
    from sweeps.verify.learn import answered_folder, learn

    with locked(paths.lock):
        learned = learn(paths, spec, Ledger(paths.ledger), answered_folder(paths, verification_id))
    name = learned.verification_id
    trainings = counted(learned.total, "training")
    if not learned.added:
        say(f"Verification {name} was fed back before ({trainings}): nothing is new.")
    else:
        say(
            f"The search has learned from {counted(learned.added, 'training')} of verification "
            f"{name}, which is used up as proof: the region now depends on them. "
            "To prove it, verify again."
        )
    renewed(paths, trials=True)
    return asdict(learned)
