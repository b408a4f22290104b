"""The arguments of all commands, each declared once."""

from __future__ import annotations

from sweeps.cli import completing
from sweeps.cli.argument import argument, given_id
from sweeps.cli.jobs import STORAGE as STORAGE_FOLDER

#: Families of kinds and of bundled files that `sweeps list` knows.
KINDS = ["triggers", "regularizers", "architectures", "datasets", "probes", "panels", "specs"]


SPEC = argument(
    "spec",
    completer=completing.specs,
    help="a YAML file, or the name of a bundled spec (`sweeps list specs`)",
)
FOLDER = argument("dir", completer=completing.folders, help="the results folder of a sweep")
SET = argument(
    "--set",
    action="append",
    default=[],
    metavar="KEY=VALUE",
    help="change the spec, for example --set seeds=5; may be repeated",
)
OUT = argument(
    "--out",
    metavar="DIR",
    completer=completing.folders,
    help="results folder, default results/NAME",
)
JSON = argument("--json", action="store_true", help="answer in JSON")
RUNNER = argument(
    "--runner",
    choices=["tune", "serial"],
    default="tune",
    help="Ray Tune (default; on the cluster at $RAY_ADDRESS if set), or this process",
)
REUSE = argument(
    "--reuse",
    action="extend",
    nargs="+",
    default=[],
    metavar="DIR",
    completer=completing.folders,
    help="results folders of other sweeps: finished trials that agree in id, data, engine and "
    "source code are taken over",
)
NEW_SPEC = argument(
    "spec",
    nargs="?",
    completer=completing.specs,
    help="the whole new spec; default: the sweep's own, changed by --set",
)
TRUST = argument(
    "--trust-code",
    action="store_true",
    help="import code that the folder names, though somebody else began it",
)
ACCEPT_CODE = argument(
    "--accept-changed-code",
    action="store_true",
    help="go on though source code of your kinds has changed since trials were recorded",
)
PACKAGES = argument(
    "--packages",
    action="extend",
    nargs="+",
    default=[],
    metavar="FOLDER",
    completer=completing.files,
    help="send your own packages too: folders of packages, folders that hold some, or .py files",
)
TRIAL = argument("trial", help="a trial's id, or its beginning")
OUTPUT = argument(
    "-o",
    "--output",
    metavar="FILE",
    completer=completing.files,
    help="default DIR/report.html",
)
URI = argument("--uri", help="another tracking store than the sweep's own")
CSV = argument(
    "--csv",
    metavar="FILE",
    completer=completing.files,
    help="write the trials there, one row for each measurement",
)
TOPIC = argument("topic", nargs="*", metavar="COMMAND", help="default: all of them, in short")
PROBE_FILE = argument(
    "--probes",
    metavar="FILE",
    completer=completing.files,
    help="write what probes found there, one row for each measured point",
)
PROBES = argument(
    "--probes",
    metavar="PROBES",
    help="ask for these probes from now on, in YAML such as '[slope, persistence]': trials that "
    "lack their results are trained again, only for these probes",
)
POINT = argument(
    "--point",
    default="recommended",
    completer=lambda **_: ["recommended", "best"],
    help="recommended (default), best (validation accuracy), or the beginning of a point's id",
)
ATTACK = argument(
    "--attack",
    metavar="N",
    help="poison the data first by this attack of the panel: its number in `sweeps region`, "
    "`worst` for the worst one at the point, or the beginning of its id",
)
SEED = argument("--seed", type=int, help="default: the smallest that the sweep does not use")
MODEL = argument(
    "--out",
    metavar="FOLDER",
    completer=completing.folders,
    help="a new folder, default in DIR/models",
)
ROOT = argument(
    "--data-root",
    metavar="FOLDER",
    completer=completing.folders,
    help="where the data are now, if they were moved",
)
TIME = argument(
    "--time", action="store_true", help="train a little of each kind and predict the hours it takes"
)
WHAT = argument("what", nargs="?", choices=KINDS, help="default: all of them")
FILE = argument("file", completer=completing.files, help="the file to write")
JOB = argument("job", help="a job's id (`sweeps job list`)")
ADDRESS = argument(
    "--address",
    "--on",
    metavar="ADDRESS",
    help="Ray's Jobs API, default $RAY_API_SERVER_ADDRESS or http://127.0.0.1:8265",
)
CLUSTER = argument(
    *ADDRESS.flags,
    metavar="ADDRESS",
    help="check the cluster with this Jobs API too, for example http://127.0.0.1:8265; default: "
    "only this machine",
)
FOLLOW = argument("--follow", action="store_true", help="show what the job writes until it ends")
STORAGE = argument(
    "--storage",
    metavar="DIR",
    default=STORAGE_FOLDER,
    help=f"folder for results, on the head's disk or shared; default {STORAGE_FOLDER}",
)
REMOTE_STORAGE = argument(
    *STORAGE.flags,
    metavar="DIR",
    default=STORAGE_FOLDER,
    help=f"with --on: where results will lie over there; default {STORAGE_FOLDER}",
)
RESUME = argument(
    "--resume",
    metavar="JOB",
    help="instead of SPEC: go on with a job that was stopped (or a results folder over there)",
)
JOB_SPEC = argument("spec", nargs="?", completer=SPEC.completer, help=SPEC.options["help"])
SOURCE = argument("job", help="a job's id, or the absolute path of a results folder over there")
OUT_FOLDER = argument(
    "--out", metavar="DIR", required=True, completer=completing.folders, help="a new folder here"
)
DRAWS = argument(
    "--draws",
    type=int,
    metavar="N",
    help="points drawn inside; default as few as can prove the claim (59 for 0.95), or as many as "
    "a region search is expected to need",
)
CLAIM = argument(
    "--claim",
    type=float,
    metavar="SHARE",
    help="the share of draws that must pass, default 0.95 (0.9 with target share): a smaller one "
    "takes fewer draws",
)
LEARN = argument(
    "--learn",
    nargs="?",
    const="",
    type=given_id,
    metavar="ID",
    help="feed the fresh trainings back into a region search, once verified, or those of the "
    "answered verification ID; they are then used up as proof",
)
SEEDS = argument(
    "--seeds",
    type=int,
    help="fresh seeds of each point, which is judged by their median; default 5",
)
TARGET = argument(
    "--target",
    choices=["median", "share"],
    help="95 %% of the points by their median seed, or 90 %% of points and seeds; default: the "
    "spec's region.target, which is median unless it is set",
)
BASIS = argument(
    "--basis",
    choices=["means", "bounds", "model", "verdict", "probability"],
    help="what is inside: of points tried those IN by means (default), by bounds, or by the model "
    "of all points together; of a region search the part of IN where the verdict is sure "
    "(default), or all that is IN by probability",
)
TRANSFER = argument(
    "--transfer",
    metavar="ATTACKS",
    default="standard-1",
    completer=completing.panels,
    help="attacks outside the panel, reported apart: the name of a panel (default standard-1), "
    "YAML such as '[sine]', a file of it, or none",
)
TRIGGERS = argument(
    "--trigger",
    default="all",
    metavar="TRIGGERS",
    help="all (default), or YAML: a name, a mapping or a list of them, such as '[sine, warp]'",
)
DATA = argument(
    "--data",
    default="digits",
    help="a data set's name (default digits), or YAML such as '{kind: cifar10, root: FOLDER}'",
)
PICTURE = argument(
    "--out",
    default="gallery.png",
    metavar="FILE",
    completer=completing.files,
    help="default gallery.png",
)
IMAGES = argument(
    "--images", type=int, default=2, metavar="N", help="how many, each of another class; default 2"
)
PROBED_TRIAL = argument(
    "--trial", metavar="TRIAL", help="draw this one: the beginning of its id; default the first"
)
INFLUENCES = argument(
    "--out",
    metavar="FILE",
    completer=completing.files,
    help="draw its images; default influence.png if --trial is given",
)
INFLUENCED = argument(
    "--images", type=int, default=5, metavar="N", help="triggered test images drawn; default 5"
)
MARGIN = argument(
    "--margin",
    type=float,
    default=0.02,
    help="largest difference of accuracies that counts as none; default 0.02",
)
LOSS_MARGIN = argument(
    "--loss-margin",
    type=float,
    default=0.05,
    help="largest difference of mean cross-entropies, in nats, that counts as none; default 0.05",
)
SUCCESS = argument(
    "--success",
    type=float,
    default=0.5,
    help="attack success from which a backdoor counts as successful; default 0.5",
)
SCALE = argument(
    "--scale",
    choices=["plain", "logit"],
    default="plain",
    help="of attack success: fractions as they are (default), or their logits",
)
SUBJECT = argument(
    "subject",
    nargs="?",
    metavar="SPEC or DIR",
    completer=completing.specs,
    help="what is to run",
)
SHELL = argument("shell", choices=completing.SHELLS, help="the shell that the script is for")
