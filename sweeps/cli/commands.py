"""The table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from sweeps.cli import (
    analysing,
    doctoring,
    jobs,
    looking,
    pictures,
    preparing,
    running,
    training,
    verifying,
)
from sweeps.cli import arguments as given

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
    arguments: tuple[given.Argument, ...]


COMMANDS = (
    Command(
        "run",
        running.run,
        "sweeps run digits --out results/digits",
        (given.SPEC, given.SET, given.OUT, given.RUNNER, given.JSON),
    ),
    Command(
        "resume",
        running.resume,
        "sweeps resume results/digits",
        (given.FOLDER, given.PROBES, given.RUNNER, given.JSON),
    ),
    Command("status", looking.status, "sweeps status results/digits", (given.FOLDER, given.JSON)),
    Command("show", looking.show, "sweeps show results/digits 3fa9", (given.FOLDER, given.TRIAL)),
    Command("region", looking.region, "sweeps region results/digits", (given.FOLDER, given.JSON)),
    Command(
        "verify",
        verifying.verify,
        "sweeps verify results/digits",
        (
            given.FOLDER,
            given.DRAWS,
            given.SEEDS,
            given.TARGET,
            given.BASIS,
            given.TRANSFER,
            given.RUNNER,
            given.JSON,
        ),
    ),
    Command(
        "report",
        looking.report,
        "sweeps report results/digits -o digits.html",
        (given.FOLDER, given.OUTPUT),
    ),
    Command(
        "train",
        training.train,
        "sweeps train results/digits --point recommended",
        (given.FOLDER, given.POINT, given.ATTACK, given.SEED, given.MODEL, given.ROOT, given.JSON),
    ),
    Command("mirror", looking.mirror, "sweeps mirror results/digits", (given.FOLDER, given.URI)),
    Command(
        "export",
        looking.export,
        "sweeps export results/digits --csv trials.csv",
        (given.FOLDER, given.CSV, given.PROBE_FILE),
    ),
    Command(
        "probe detectability",
        analysing.detectability,
        "sweeps probe detectability results/digits --margin 0.02",
        (given.FOLDER, given.MARGIN, given.LOSS_MARGIN, given.JSON),
    ),
    Command(
        "probe resistance",
        analysing.resistance,
        "sweeps probe resistance results/digits",
        (given.FOLDER, given.SUCCESS, given.JSON),
    ),
    Command(
        "probe variance",
        analysing.variance,
        "sweeps probe variance results/findings",
        (given.FOLDER, given.SCALE, given.JSON),
    ),
    Command(
        "probe effects",
        analysing.effects,
        "sweeps probe effects results/findings",
        (given.FOLDER, given.JSON),
    ),
    Command(
        "probe persistence",
        analysing.persistence,
        "sweeps probe persistence results/persistence",
        (given.FOLDER, given.SUCCESS, given.JSON),
    ),
    Command(
        "probe influence",
        analysing.influence,
        "sweeps probe influence results/mine --out influence.png",
        (given.FOLDER, given.PROBED_TRIAL, given.INFLUENCES, given.INFLUENCED, given.JSON),
    ),
    Command(
        "check",
        preparing.check,
        "sweeps check my.yaml --set seeds=5",
        (given.SPEC, given.SET, given.TIME),
    ),
    Command("list", preparing.list_kinds, "sweeps list triggers", (given.WHAT,)),
    Command(
        "gallery",
        pictures.gallery,
        "sweeps gallery --trigger all --data digits --out gallery.png",
        (given.TRIGGERS, given.DATA, given.PICTURE, given.IMAGES),
    ),
    Command("init", preparing.init, "sweeps init my.yaml", (given.FILE,)),
    Command(
        "job submit",
        jobs.submit,
        "sweeps job submit digits --address http://127.0.0.1:8265",
        (given.JOB_SPEC, given.SET, given.RESUME, given.STORAGE, given.ADDRESS, given.FOLLOW),
    ),
    Command("job list", jobs.list_jobs, "sweeps job list", (given.ADDRESS, given.JSON)),
    Command(
        "job logs",
        jobs.logs,
        "sweeps job logs JOB --follow",
        (given.JOB, given.ADDRESS, given.FOLLOW),
    ),
    Command("job stop", jobs.stop, "sweeps job stop JOB", (given.JOB, given.ADDRESS)),
    Command(
        "job fetch",
        jobs.fetch,
        "sweeps job fetch JOB --out results/mine",
        (given.SOURCE, given.HERE, given.ADDRESS),
    ),
    Command(
        "doctor",
        doctoring.doctor,
        "sweeps doctor my.yaml --on http://127.0.0.1:8265",
        (given.SUBJECT, given.CLUSTER, given.THERE, given.JSON),
    ),
)
