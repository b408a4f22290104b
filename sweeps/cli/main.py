"""The table of commands, and how errors are reported."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.errors import BackdoorSweepsError, UserError
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
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, WRONG, say

#: Help of the groups of commands.
GROUPS = {
    "job": "Run sweeps as jobs of a Ray cluster: submit, list, logs, stop, fetch.",
    "probe": "Ask a finished sweep further questions, on findings of the literature.",
}
KINDS = ["triggers", "regularizers", "architectures", "datasets", "probes", "panels", "specs"]


@dataclass(frozen=True)
class Argument:
    """One argument as argparse takes it."""

    flags: tuple[str, ...]
    options: dict[str, Any]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


@dataclass(frozen=True)
class Command:
    """A subcommand; its help is the handler's docstring. A name of two words is in a group."""

    name: str
    handler: Callable[[argparse.Namespace], int]
    example: str
    arguments: tuple[Argument, ...]


SPEC = _argument("spec", help="a YAML file, or the name of a bundled spec (`sweeps list specs`)")
FOLDER = _argument("dir", help="the results folder of a sweep")
SET = _argument(
    "--set", action="append", default=[], metavar="KEY=VALUE",
    help="change the spec, for example --set seeds=5; may be repeated",
)  # fmt: skip
OUT = _argument("--out", metavar="DIR", help="results folder, default results/NAME")
JSON = _argument("--json", action="store_true", help="answer in JSON")
RUNNER = _argument(
    "--runner", choices=["tune", "serial"], default="tune",
    help="Ray Tune (default; on the cluster at $RAY_ADDRESS if set), or this process",
)  # fmt: skip
TRIAL = _argument("trial", help="a trial's id, or its beginning")
OUTPUT = _argument("-o", "--output", metavar="FILE", help="default DIR/report.html")
URI = _argument("--uri", help="another tracking store than the sweep's own")
CSV = _argument("--csv", metavar="FILE", help="write the trials there, a row a measurement")
PROBE_FILE = _argument(
    "--probes", metavar="FILE", help="write what probes found there, a row a point of a study"
)
PROBES = _argument(
    "--probes", metavar="PROBES",
    help="ask for these probes from now on, in YAML such as '[slope, persistence]': trials without "
    "their studies are trained again for them alone",
)  # fmt: skip
POINT = _argument(
    "--point", default="recommended",
    help="recommended (default), best (validation accuracy), or the beginning of a point's id",
)  # fmt: skip
ATTACK = _argument(
    "--attack", metavar="N",
    help="poison the data first with attack N of the panel as `sweeps region` numbers it, with "
    "the `worst` of the point, or by the beginning of an attack's id",
)  # fmt: skip
SEED = _argument("--seed", type=int, help="default: the smallest that the sweep does not use")
MODEL = _argument("--out", metavar="FOLDER", help="a new folder, default in DIR/models")
ROOT = _argument("--data-root", metavar="FOLDER", help="where the data lie now, if they moved")
TIME = _argument(
    "--time", action="store_true", help="train a little of each kind and predict the hours it takes"
)
WHAT = _argument("what", nargs="?", choices=KINDS, help="default: all of them")
FILE = _argument("file", help="the file to write")
JOB = _argument("job", help="a job's id (`sweeps job list`)")
ADDRESS = _argument(
    "--address", "--on", metavar="ADDRESS",
    help="Ray's Jobs API, default $RAY_API_SERVER_ADDRESS or http://127.0.0.1:8265",
)  # fmt: skip
CLUSTER = _argument(
    *ADDRESS.flags, metavar="ADDRESS",
    help="check the cluster with this Jobs API too, for example http://127.0.0.1:8265; default: "
    "only this machine",
)  # fmt: skip
FOLLOW = _argument("--follow", action="store_true", help="show what the job writes until it ends")
STORAGE = _argument(
    "--storage", metavar="DIR", default=jobs.STORAGE,
    help=f"folder for results, on the head's disk or shared; default {jobs.STORAGE}",
)  # fmt: skip
THERE = _argument(
    *STORAGE.flags, metavar="DIR", default=jobs.STORAGE,
    help=f"with --on: where results will lie over there; default {jobs.STORAGE}",
)  # fmt: skip
RESUME = _argument(
    "--resume", metavar="JOB",
    help="instead of SPEC: go on with a job that was stopped (or a results folder over there)",
)  # fmt: skip
JOB_SPEC = _argument("spec", nargs="?", help=SPEC.options["help"])
SOURCE = _argument(
    "job", help="a job's id, or the absolute path of a results folder over there"
)  # fmt: skip
HERE = _argument("--out", metavar="DIR", required=True, help="a new folder here")
DRAWS = _argument(
    "--draws", type=int, metavar="N",
    help="points drawn inside; default 59, or as many as a region search is expected to need",
)  # fmt: skip
SEEDS = _argument(
    "--seeds", type=int, help="fresh seeds a point, whose median judges it; default 5"
)
TARGET = _argument(
    "--target", choices=["median", "share"],
    help="95 %% of the points by their median seed, or 90 %% of points and seeds; default as the "
    "spec's region.target, which is the median",
)  # fmt: skip
BASIS = _argument(
    "--basis", choices=["means", "bounds", "verdict", "probability"],
    help="what is inside: of points tried those IN by means (default) or IN by bounds; of a region "
    "search the part of IN where the verdict is sure (default), or all that is IN by probability",
)  # fmt: skip
TRANSFER = _argument(
    "--transfer", metavar="ATTACKS", default="standard-1",
    help="attacks outside the panel, reported apart: the name of a panel (default standard-1), "
    "YAML such as '[sine]', a file of it, or none",
)  # fmt: skip
TRIGGERS = _argument(
    "--trigger", default="all", metavar="TRIGGERS",
    help="all (default), or YAML: a name, a mapping or a list of them, such as '[sine, warp]'",
)  # fmt: skip
DATA = _argument(
    "--data", default="digits",
    help="a data set's name (default digits), or YAML such as '{kind: cifar10, root: FOLDER}'",
)  # fmt: skip
PICTURE = _argument("--out", default="gallery.png", metavar="FILE", help="default gallery.png")
IMAGES = _argument("--images", type=int, default=2, metavar="N", help="one a class; default 2")
PROBED_TRIAL = _argument(
    "--trial", metavar="TRIAL", help="draw this one: the beginning of its id; default the first"
)
INFLUENCES = _argument(
    "--out", metavar="FILE", help="draw its images; default influence.png if --trial is given"
)
INFLUENCED = _argument(
    "--images", type=int, default=5, metavar="N", help="triggered test images drawn; default 5"
)
MARGIN = _argument(
    "--margin", type=float, default=0.02,
    help="largest difference of accuracies that counts as none; default 0.02",
)  # fmt: skip
LOSS_MARGIN = _argument(
    "--loss-margin", type=float, default=0.05,
    help="largest difference of mean cross-entropies, in nats, that counts as none; default 0.05",
)  # fmt: skip
SUCCESS = _argument(
    "--success", type=float, default=0.5, help="attack success from which it took; default 0.5"
)
SCALE = _argument(
    "--scale", choices=["plain", "logit"], default="plain",
    help="of attack success: fractions as they are (default), or their logits",
)  # fmt: skip
SUBJECT = _argument("subject", nargs="?", metavar="SPEC or DIR", help="what is to run")

COMMANDS = (
    Command("run", running.run, "sweeps run digits --out results/digits",
            (SPEC, SET, OUT, RUNNER, JSON)),
    Command("resume", running.resume, "sweeps resume results/digits",
            (FOLDER, PROBES, RUNNER, JSON)),
    Command("status", looking.status, "sweeps status results/digits", (FOLDER, JSON)),
    Command("show", looking.show, "sweeps show results/digits 3fa9", (FOLDER, TRIAL)),
    Command("region", looking.region, "sweeps region results/digits", (FOLDER, JSON)),
    Command("verify", verifying.verify, "sweeps verify results/digits",
            (FOLDER, DRAWS, SEEDS, TARGET, BASIS, TRANSFER, RUNNER, JSON)),
    Command("report", looking.report, "sweeps report results/digits -o digits.html",
            (FOLDER, OUTPUT)),
    Command("train", training.train, "sweeps train results/digits --point recommended",
            (FOLDER, POINT, ATTACK, SEED, MODEL, ROOT, JSON)),
    Command("mirror", looking.mirror, "sweeps mirror results/digits", (FOLDER, URI)),
    Command("export", looking.export, "sweeps export results/digits --csv trials.csv",
            (FOLDER, CSV, PROBE_FILE)),
    Command("probe detectability", analysing.detectability,
            "sweeps probe detectability results/digits --margin 0.02",
            (FOLDER, MARGIN, LOSS_MARGIN, JSON)),
    Command("probe resistance", analysing.resistance, "sweeps probe resistance results/digits",
            (FOLDER, SUCCESS, JSON)),
    Command("probe variance", analysing.variance, "sweeps probe variance results/findings",
            (FOLDER, SCALE, JSON)),
    Command("probe effects", analysing.effects, "sweeps probe effects results/findings",
            (FOLDER, JSON)),
    Command("probe persistence", analysing.persistence,
            "sweeps probe persistence results/persistence", (FOLDER, SUCCESS, JSON)),
    Command("probe influence", analysing.influence,
            "sweeps probe influence results/mine --out influence.png",
            (FOLDER, PROBED_TRIAL, INFLUENCES, INFLUENCED, JSON)),
    Command("check", preparing.check, "sweeps check my.yaml --set seeds=5", (SPEC, SET, TIME)),
    Command("list", preparing.list_kinds, "sweeps list triggers", (WHAT,)),
    Command("gallery", pictures.gallery,
            "sweeps gallery --trigger all --data digits --out gallery.png",
            (TRIGGERS, DATA, PICTURE, IMAGES)),
    Command("init", preparing.init, "sweeps init my.yaml", (FILE,)),
    Command("job submit", jobs.submit, "sweeps job submit digits --address http://127.0.0.1:8265",
            (JOB_SPEC, SET, RESUME, STORAGE, ADDRESS, FOLLOW)),
    Command("job list", jobs.list_jobs, "sweeps job list", (ADDRESS, JSON)),
    Command("job logs", jobs.logs, "sweeps job logs JOB --follow", (JOB, ADDRESS, FOLLOW)),
    Command("job stop", jobs.stop, "sweeps job stop JOB", (JOB, ADDRESS)),
    Command("job fetch", jobs.fetch, "sweeps job fetch JOB --out results/mine",
            (SOURCE, HERE, ADDRESS)),
    Command("doctor", doctoring.doctor, "sweeps doctor my.yaml --on http://127.0.0.1:8265",
            (SUBJECT, CLUSTER, THERE, JSON)),
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands, each with its example."""
    parser = argparse.ArgumentParser(
        prog="sweeps",
        description="Find the training settings with which a model stays accurate and backdoors "
        "in its training data fail.",
        epilog="Start here: sweeps run digits",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    homes = {"": subparsers}
    for command in COMMANDS:
        summary = str(command.handler.__doc__).splitlines()[0]
        home, _, name = command.name.rpartition(" ")
        if home not in homes:
            group = subparsers.add_parser(home, help=GROUPS[home], description=GROUPS[home])
            homes[home] = group.add_subparsers(dest="action", required=True, metavar="COMMAND")
        sub = homes[home].add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"Example: {command.example}",
        )
        for argument in command.arguments:
            sub.add_argument(*argument.flags, **argument.options)
        sub.set_defaults(handler=command.handler)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    args = build_parser().parse_args(argv)
    try:
        code: int = args.handler(args)
        return code
    except UserError as error:
        count = len(error.mistakes)
        say(f"error: {count} mistake{'s' if count > 1 else ''}")
        for mistake in error.mistakes:
            say(f"  {mistake}")
        return WRONG
    except BackdoorSweepsError as error:
        say(f"error: {error}")
        return FAILURES
    except BrokenPipeError:
        # The reader of stdout, such as `head`, has ended.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return FINE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        say(f"error: {place}{error.strerror or error}")
        return WRONG
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
