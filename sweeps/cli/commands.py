"""The table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from sweeps.cli import (
    analysing,
    arguments,
    checking,
    completing,
    doctoring,
    helping,
    jobs,
    listing,
    looking,
    pictures,
    preparing,
    running,
    showing,
    status,
    training,
    verifying,
)
from sweeps.cli.argument import Argument

#: Help of the groups of commands.
GROUPS = {
    "job": "Run sweeps as jobs of a Ray cluster: submit, list, logs, stop, fetch.",
    "probe": "Analyse a finished sweep.",
}


@dataclass(frozen=True)
class Command:
    """A subcommand; its help is the handler's docstring. A name of two words is in a group."""

    name: str
    handler: Callable[[argparse.Namespace], int]
    example: str
    arguments: tuple[Argument, ...]


COMMANDS = (
    Command(
        "run",
        running.run,
        "sweeps run digits --out results/digits",
        (
            arguments.SPEC,
            arguments.SET,
            arguments.OUT,
            arguments.REUSE,
            arguments.RUNNER,
            arguments.JSON,
        ),
    ),
    Command(
        "extend",
        running.extend,
        "sweeps extend results/digits --set seeds=10",
        (
            arguments.FOLDER,
            arguments.NEW_SPEC,
            arguments.SET,
            arguments.REUSE,
            arguments.TRUST,
            arguments.ACCEPT_CODE,
            arguments.RUNNER,
            arguments.JSON,
        ),
    ),
    Command(
        "resume",
        running.resume,
        "sweeps resume results/digits",
        (
            arguments.FOLDER,
            arguments.PROBES,
            arguments.TRUST,
            arguments.ACCEPT_CODE,
            arguments.RUNNER,
            arguments.JSON,
        ),
    ),
    Command(
        "status", status.status, "sweeps status results/digits", (arguments.FOLDER, arguments.JSON)
    ),
    Command(
        "show", showing.show, "sweeps show results/digits 3fa9", (arguments.FOLDER, arguments.TRIAL)
    ),
    Command(
        "region",
        looking.region,
        "sweeps region results/digits",
        (arguments.FOLDER, arguments.TRUST, arguments.JSON),
    ),
    Command(
        "verify",
        verifying.verify,
        "sweeps verify results/digits",
        (
            arguments.FOLDER,
            arguments.CLAIM,
            arguments.DRAWS,
            arguments.SEEDS,
            arguments.TARGET,
            arguments.BASIS,
            arguments.TRANSFER,
            arguments.LEARN,
            arguments.TRUST,
            arguments.ACCEPT_CODE,
            arguments.RUNNER,
            arguments.JSON,
        ),
    ),
    Command(
        "report",
        looking.report,
        "sweeps report results/digits -o digits.html",
        (arguments.FOLDER, arguments.OUTPUT, arguments.TRUST),
    ),
    Command(
        "train",
        training.train,
        "sweeps train results/digits --point recommended",
        (
            arguments.FOLDER,
            arguments.POINT,
            arguments.ATTACK,
            arguments.SEED,
            arguments.MODEL,
            arguments.ROOT,
            arguments.TRUST,
            arguments.JSON,
        ),
    ),
    Command(
        "mirror",
        looking.mirror,
        "sweeps mirror results/digits",
        (arguments.FOLDER, arguments.URI, arguments.TRUST),
    ),
    Command(
        "export",
        looking.export,
        "sweeps export results/digits --csv trials.csv",
        (arguments.FOLDER, arguments.CSV, arguments.PROBE_FILE),
    ),
    Command(
        "probe detectability",
        analysing.detectability,
        "sweeps probe detectability results/digits --margin 0.02",
        (arguments.FOLDER, arguments.MARGIN, arguments.LOSS_MARGIN, arguments.JSON),
    ),
    Command(
        "probe resistance",
        analysing.resistance,
        "sweeps probe resistance results/digits",
        (arguments.FOLDER, arguments.SUCCESS, arguments.JSON),
    ),
    Command(
        "probe variance",
        analysing.variance,
        "sweeps probe variance results/findings",
        (arguments.FOLDER, arguments.SCALE, arguments.JSON),
    ),
    Command(
        "probe effects",
        analysing.effects,
        "sweeps probe effects results/findings",
        (arguments.FOLDER, arguments.JSON),
    ),
    Command(
        "probe persistence",
        analysing.persistence,
        "sweeps probe persistence results/persistence",
        (arguments.FOLDER, arguments.SUCCESS, arguments.JSON),
    ),
    Command(
        "probe influence",
        analysing.influence,
        "sweeps probe influence results/mine --out influence.png",
        (
            arguments.FOLDER,
            arguments.PROBED_TRIAL,
            arguments.INFLUENCES,
            arguments.INFLUENCED,
            arguments.TRUST,
            arguments.JSON,
        ),
    ),
    Command(
        "check",
        checking.check,
        "sweeps check my.yaml --set seeds=5",
        (arguments.SPEC, arguments.SET, arguments.TIME, arguments.JSON),
    ),
    Command("list", listing.list_kinds, "sweeps list triggers", (arguments.WHAT,)),
    Command(
        "gallery",
        pictures.gallery,
        "sweeps gallery --trigger all --data digits --out gallery.png",
        (arguments.TRIGGERS, arguments.DATA, arguments.PICTURE, arguments.IMAGES),
    ),
    Command("init", preparing.init, "sweeps init my.yaml", (arguments.FILE,)),
    Command(
        "job submit",
        jobs.submit,
        "sweeps job submit digits --address http://127.0.0.1:8265",
        (
            arguments.JOB_SPEC,
            arguments.SET,
            arguments.RESUME,
            arguments.PACKAGES,
            arguments.ACCEPT_CODE,
            arguments.STORAGE,
            arguments.ADDRESS,
            arguments.FOLLOW,
        ),
    ),
    Command("job list", jobs.list_jobs, "sweeps job list", (arguments.ADDRESS, arguments.JSON)),
    Command(
        "job logs",
        jobs.logs,
        "sweeps job logs JOB --follow",
        (arguments.JOB, arguments.ADDRESS, arguments.FOLLOW),
    ),
    Command("job stop", jobs.stop, "sweeps job stop JOB", (arguments.JOB, arguments.ADDRESS)),
    Command(
        "job fetch",
        jobs.fetch,
        "sweeps job fetch JOB --out results/mine",
        (arguments.SOURCE, arguments.OUT_FOLDER, arguments.ADDRESS),
    ),
    Command(
        "doctor",
        doctoring.doctor,
        "sweeps doctor my.yaml --on http://127.0.0.1:8265",
        (
            arguments.SUBJECT,
            arguments.CLUSTER,
            arguments.REMOTE_STORAGE,
            arguments.TRUST,
            arguments.JSON,
        ),
    ),
    Command("help", helping.help_on, "sweeps help run", (arguments.TOPIC,)),
    Command("completion", completing.completion, "sweeps completion bash", (arguments.SHELL,)),
)
