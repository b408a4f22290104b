"""`sweeps probe SUBJECT`: analyses of a finished sweep, or of what has finished of one."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FINE, say, show, terminal_width

if TYPE_CHECKING:
    from sweeps.analyses.influential import Influential
    from sweeps.storage.paths import SweepPaths

Answer = TypeVar("Answer")


def detectability(args: argparse.Namespace) -> int:
    """Say whether performance tells poisoned models from clean ones."""
    from sweeps.analyses.detectability import detectability as analyse
    from sweeps.analyses.measures_text import detectability_text
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    _refuse_outside([("--margin", args.margin)])
    _refuse_nothing("--loss-margin", args.loss_margin)
    rows = Ledger(open_results(args.dir).ledger).trials()
    answer = analyse(rows, args.margin, loss_margin=args.loss_margin)
    _print(answer, detectability_text, args.json)
    return FINE


def resistance(args: argparse.Namespace) -> int:
    """Say the smallest poison rate at which a backdoor works, by defence point."""
    from sweeps.analyses.measures_text import resistance_text
    from sweeps.analyses.resistance import resistance as analyse
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    _refuse_outside([("--success", args.success)])
    answer = analyse(Ledger(open_results(args.dir).ledger).trials(), args.success)
    _print(answer, resistance_text, args.json)
    return FINE


def variance(args: argparse.Namespace) -> int:
    """Say what share of the variance of attack success each factor explains."""
    from sweeps.analyses.findings_text import variance_text
    from sweeps.analyses.variance import variance as analyse
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    answer = analyse(Ledger(open_results(args.dir).ledger).trials(), args.scale)
    _print(answer, variance_text, args.json)
    return FINE


def effects(args: argparse.Namespace) -> int:
    """Say what each regularizer does to attack success and clean accuracy, against none."""
    from sweeps.analyses.effects import effects as analyse
    from sweeps.analyses.findings_text import effects_text
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    answer = analyse(Ledger(open_results(args.dir).ledger).trials())
    _print(answer, effects_text, args.json)
    return FINE


def persistence(args: argparse.Namespace) -> int:
    """Say how long backdoors last under fine-tuning on clean images."""
    from sweeps.analyses.findings_text import persistence_text
    from sweeps.analyses.persistence import persistence as analyse
    from sweeps.ledger import Ledger, load_results
    from sweeps.storage.paths import open_results

    _refuse_outside([("--success", args.success)])
    ledger = Ledger(open_results(args.dir).ledger)
    results = load_results(ledger, "persistence").to_pylist()
    answer = analyse(ledger.trials(), results, args.success)
    _print(answer, persistence_text, args.json)
    return FINE


def influence(args: argparse.Namespace) -> int:
    """Say whether poisoned images are the influential ones, and draw those."""
    from sweeps.analyses.influential import influential, influential_text
    from sweeps.ledger import Ledger
    from sweeps.storage.paths import open_results

    paths = open_results(args.dir)
    ledger = Ledger(paths.ledger)
    answer = influential(ledger.trials(), ledger.probe_results.rows())
    _print(answer, influential_text, args.json)
    if args.out is not None or args.trial is not None:
        _draw_influences(args, paths, answer)
    return FINE


def _draw_influences(args: argparse.Namespace, paths: SweepPaths, answer: Influential) -> None:
    from dashboards.influence_gallery import draw_influences
    from sweeps.pictures.influence_pictures import influenced_images, one_probe_result
    from sweeps.results.create import read_spec
    from sweeps.storage.files import write_atomic
    from sweeps.storage.named_places import named_place

    if args.images < 1:
        raise UserError(Mistake("--images", "must be >= 1", args.images, "Ask for one or more."))
    file = named_place(args.out or "influence.png", "--out")
    entry = one_probe_result(answer["studies"], args.trial)
    shown = influenced_images(paths, read_spec(paths), entry, args.images)
    title = (
        f"{entry['label']}, {entry['attack']}, seed {entry['seed']}: what moves triggered images"
    )
    write_atomic(file, draw_influences(shown, title))
    say(str(file))


def _print(answer: Answer, text: Callable[[Answer, int | None], str], as_json: bool) -> None:
    """An analysis in JSON, or in words and tables that fit the terminal."""
    if as_json:
        print(json.dumps(answer))
    else:
        show(text(answer, terminal_width()))


def _refuse_outside(given: Iterable[tuple[str, float]]) -> None:
    for name, value in given:
        if not 0 < value < 1:
            rule = "must be a fraction between 0 and 1"
            raise UserError(Mistake(name, rule, value, "For example 0.02, or 0.5."))


def _refuse_nothing(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise UserError(Mistake(name, "must be a number above 0", value, "For example 0.05."))
