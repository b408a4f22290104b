"""`sweeps probe detectability` and `sweeps probe resistance`: analyses of a finished sweep."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from backdoor.errors import Mistake, UserError
from sweeps.cli import FINE


def detectability(args: argparse.Namespace) -> int:
    """Say whether performance tells poisoned models from clean ones."""
    from sweeps.analyses.detectability import detectability as analyse
    from sweeps.analyses.text import detectability_text
    from sweeps.ledger import Ledger
    from sweeps.storage import open_results

    _refuse_outside([("--margin", args.margin)])
    answer = analyse(Ledger(open_results(args.dir).ledger).rows(), args.margin)
    print(json.dumps(answer) if args.json else detectability_text(answer))
    return FINE


def resistance(args: argparse.Namespace) -> int:
    """Say from which poison rate on a backdoor takes, by defence point."""
    from sweeps.analyses.resistance import resistance as analyse
    from sweeps.analyses.text import resistance_text
    from sweeps.ledger import Ledger
    from sweeps.storage import open_results

    _refuse_outside([("--success", args.success)])
    answer = analyse(Ledger(open_results(args.dir).ledger).rows(), args.success)
    print(json.dumps(answer) if args.json else resistance_text(answer))
    return FINE


def _refuse_outside(given: Iterable[tuple[str, float]]) -> None:
    for name, value in given:
        if not 0 < value < 1:
            rule = "must be a fraction between 0 and 1"
            raise UserError(Mistake(name, rule, value, "For example 0.02, or 0.5."))
