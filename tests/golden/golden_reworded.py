"""Texts that were worded otherwise at 5634bd7: the record stays as it is, and is read by this table.

Only words differ: each pattern leaves numbers and order as they were recorded.
"""

from __future__ import annotations

import re
from typing import Any

#: What stands below the table of points.
CAVEATS = re.compile(r"\n(?=(?:\d+ models? of|Clean accuracy >=|\d+ trials? w))")


def _answer_last(found: re.Match[str]) -> str:
    """The region in words, with the answer and the recommended point at its end."""
    answer, recommended, table, attacks = found.groups()
    return "\n\n".join([attacks, CAVEATS.sub("\n\n", table, count=1), answer, recommended]) + "\n"


#: What the record says → what is said today.
REWORDED: list[tuple[str, Any]] = [
    (
        r"solid, noise of its own for every class, or chequered\.",
        "grey or a colour, noise of its own for every class, chequered, or a picture.",
    ),
    (r"how to mend what is wrong", "how to fix what is wrong"),
    (r"drawn anew for each image", "drawn again for each image"),
    (r"how much the loss hangs on the input", "how much the loss depends on the input"),
    (r"without normalisation by default", "without normalization by default"),
    (
        r"Of (\d+) others foretold that ran to their end all the same, (\d+) ended otherwise:",
        r"Of \1 holdout trials with a predicted verdict, \2 ended with another verdict:",
    ),
    (
        r"Such a region says nothing; train longer, or ask for more\.",
        "This region is meaningless; train longer, or raise the threshold.",
    ),
    # The region in words
    (
        r"No such region was found: of (\d+) defence points judged none has ",
        r"No region found: none of \1 judged points meets ",
    ),
    (r"of the defence space have clean accuracy", "of the defence space meet: clean accuracy"),
    (
        r"It takes P\(inside\) >= ([\d.]+) to be IN: points may be wrong together, and of all those "
        r"with ([\d.]+) more than ([\d.]+) % might be outside at once\.",
        r"Points with P(inside) >= \1 are IN: model errors are correlated, so among all points with "
        r"P(inside) >= \2 more than \3 % could be outside together.",
    ),
    (r"what fails first outside:", "most frequent reason to be outside:"),
    (r"for all 1 attacks", "for the attack"),
    (r"\b1 are incomplete", "1 is incomplete"),
    (r"(?m)^1 of (\d+) defence points are IN", r"1 of \1 defence points is IN"),
    # The answer stands last, below the table and the attacks
    (
        r"(?s)\A((?:\d+ of|No region|No defence).*?)\n\n(Recommended.*?)\n\n(id  .*?)\n\n(Attacks:.*)\n\Z",
        _answer_last,
    ),
    (r"(?s)\A([\d.]+ % of the defence space .*)\n\n(Attacks:.*)\n\Z", r"\2\n\n\1\n"),
    # Help, whose list of commands says no settings
    (
        r"usage: sweeps \[-h\] COMMAND \.\.\.(?=\n\nFind)",
        "usage: sweeps [-h] [--version] COMMAND ...",
    ),
    (
        r"(?m)^  -h, --help  show this help message and exit(?=\n\nStart here)",
        "  -h, --help  show this help message and exit\n"
        "  --version   show the versions of this package and of its engines",
    ),
    # Singular and plural, and plain sentences
    (r"(?<![\d,.])1 (pack|trial|attack)s\b", r"1 \1"),
    (
        r"fresh seeds a point, whose median judges it",
        "fresh seeds of each point, which is judged by their median",
    ),
    (
        r"default as the spec's region\.target, which is the median",
        "default: the spec's region.target, which is median unless it is set",
    ),
    (
        r"poison the data first with attack N of the panel as `sweeps region` numbers\n( +)"
        r"it, with the `worst` of the point, or by the beginning of an attack's id",
        r"poison the data first by this attack of the panel: its number in `sweeps\n\1"
        r"region`, `worst` for the worst one at the point, or the beginning of its id",
    ),
    (r"where the data lie now, if they moved", "where the data are now, if they were moved"),
    (r"one a class; default 2", "how many, each of another class; default 2"),
    (r"^A mark is a defence point\.", "Each mark is a defence point."),
    (r"they lean to the hopeful side;", "they are optimistic;"),
    (r"One seed a point gives no bounds:", "With one seed for each point there are no bounds:"),
    (
        r"A panel a combination of the factors that have no order, over the two numeric factors that move "
        r"the probability most; it is averaged over further ones\.",
        "Each panel shows one combination of the factors that have no order. Its axes are the two numeric "
        "factors that change the probability most; it is averaged over the others.",
    ),
    # `sweeps list`, whose settings are listed for one family at a time
    (r"(?m)^(  [\w/]+ +[A-Za-z`\d].*[.:?]) \[[a-z_, ]+\]$", r"\1"),
    # `sweeps status`, whose first column is wider
    (
        r"(?m)^(name|planned|finished|stopped|failed|collapsed|diverged|worker seconds|train seconds"
        r"|trained images|cpu hours|gpu hours|peak memory)( {2,})",
        r"\1\2   ",
    ),
    (r"(?m)^foretold {8}", "predicted verdicts "),
    (
        r"(?m)^probe persistence (\d+) found, (\d+) not suited",
        r"probe persistence  \1 results, \2 not applicable",
    ),
    (
        r"(?m)^(probe \w+ +)(\d+) found, (\d+) not suited",
        r"\1   \2 results, \3 not applicable",
    ),
    (r"(?m)^(stopped|failed|predicted verdicts|collapsed|diverged) +0\n", ""),
    # One of a kind, and counts from a thousand on
    (
        r"\b1 (trial|pack|model|attack|point|seed|draw|training|defence point|judged point)s\b",
        r"1 \1",
    ),
    (r"for all 1 attack\b", "for the attack"),
    (r"\b1 of (\d+) defence points are IN", r"1 of \1 defence points is IN"),
    (r"of 1 seed meet both", "of 1 seed meets both"),
    (r"\b1 are incomplete\b", "1 is incomplete"),
    (r"\b(\d{1,3})(\d{3}) (trials|packs|defence points|models)\b", r"\1,\2 \3"),
    # Help
    (
        r"Ask a finished sweep further questions, on findings of the literature\.",
        "Analyse a finished sweep.",
    ),
    (r"a row a measurement", "one row for each measurement"),
    (r"a row a point of a study", "one row for each measured point"),
    (
        r"trials without their studies are trained again for them alone",
        "trials that lack their results are trained again, only for these probes",
    ),
    (
        r"attack success from which it took;",
        "attack success from which a backdoor counts as successful;",
    ),
    (
        r"Say from which poison rate on a backdoor takes, by defence point\.",
        "Say the smallest poison rate at which a backdoor works, by defence point.",
    ),
    (
        r"Images in Parquet files under the folder `root`\.",
        "Images in Parquet files under the folder `root`: one file or numbered shards for each split.",
    ),
    # Rule: a point that is IN by means alone is not certain, which its line says
    (r"\(IN by means, margin", "(IN by means only: not certain, margin"),
    # Rule: points may be verified that are IN by the model of all points together
    (r"\{means,bounds,verdict,probability\}", "{means,bounds,model,verdict,probability}"),
    (
        r"those IN by means \(default\) or IN by\n( +)bounds; of a region search the part of IN where "
        r"the verdict is sure\n +\(default\), or all that is IN by probability",
        r"those IN by means (default), by bounds, or\n\1by the model of all points together; of a "
        r"region search the part of IN\n\1where the verdict is sure (default), or all that is IN by "
        "probability",
    ),
    # Rule: bounds are of the mean over all seeds, by a method that is no longer Student's t alone
    (r"% t-bounds over seeds:", "% bounds of each mean over seeds:"),
    (r"by one-sided t-bounds over (\d+) seeds", r"by one-sided bounds of each mean over \1 seeds"),
    (
        r"as draws from one normal distribution, which a few seeds cannot check\.",
        "as draws from one normal distribution, unless a test finds two modes, which a few seeds can "
        "hardly show.",
    ),
    # Rule: a final model is held to the thresholds
    (
        r"Train the final model at a point, save it, and say what is expected of it\.",
        "Train the final model at a point, save it, and hold it to what the spec asks for.",
    ),
    # Rule: the share of draws that must pass may be chosen, and draws follow from it
    (
        r"points drawn inside; default 59, or as many as a region search is expected\n( +)to need",
        r"points drawn inside; default as few as can prove the claim (59 for 0.95),\n\1or as many as a "
        "region search is expected to need",
    ),
    # Rule: `sweeps train` says by what its point is IN
    (
        r"\Aof the best validation accuracy\Z",
        "of the best validation accuracy, IN by means only: not certain",
    ),
    # Rule: `sweeps show` has the traceback of a failed trial and what it printed last
    (
        r"Print one trial, whole, with what probes found\.",
        "Print one trial, whole, with what probes found, and how it failed.",
    ),
]

#: Commands that came later: the record has no help of theirs.
ADDED_COMMANDS = ("completion", "extend", "help")
#: Bundled specs that came later: the record has neither their line in lists nor their ids.
ADDED_SPECS = ("own-images",)


#: Options that came later: the command, the option and its line of help.
TRUSTING = ("resume", "region", "verify", "report", "train", "mirror", "probe influence", "doctor")
TRUST = ("--trust-code", "import code that the folder names, though somebody else began it")
#: Of the commands that go on with trials of before.
GOES_ON = ("resume", "verify", "job submit")
ACCEPT = (
    "--accept-changed-code",
    "go on though source code of your kinds has changed since trials were recorded",
)
ADDED_OPTIONS = (
    ("check", "--json", "answer in JSON"),
    (
        "run",
        "--reuse DIR [DIR ...]",
        "results folders of other sweeps: finished trials that agree in id, data, engine and source "
        "code are taken over",
    ),
    (
        "verify",
        "--claim SHARE",
        "the share of draws that must pass, default 0.95 (0.9 with target share): a smaller one takes "
        "fewer draws",
    ),
    (
        "verify",
        "--learn [ID]",
        "feed the fresh trainings back into a region search, once verified, or those of the answered "
        "verification ID; they are then used up as proof",
    ),
    *((command, *TRUST) for command in TRUSTING),
    *((command, *ACCEPT) for command in GOES_ON),
    (
        "job submit",
        "--packages FOLDER [FOLDER ...]",
        "send your own packages too: folders of packages, folders that hold some, or .py files",
    ),
)
#: Lines of `sweeps check` that came later.
ADDED_LINES = re.compile(r"(?m)^  (data|target): .*\n")
#: Data sets that came later.
ADDED_DATASETS = ("csv",)
#: How `sweeps list` ends since settings are listed for one family at a time.
LIST_ENDS = "\n`sweeps list triggers`, and so on, also says the settings of each kind.\n"


def without_added(texts: dict[str, str]) -> dict[str, str]:
    """Today's texts without what came later: the help of commands and options, lines of lists and
    of checks."""
    kept = {k: ADDED_LINES.sub("", t) if k.startswith("check ") else t for k, t in texts.items()}
    for command, option, told in ADDED_OPTIONS:
        shorter = kept[f"help {command}"].replace(f" [{option}]", "", 1)
        words = r"\s+".join(map(re.escape, (*option.split(), *told.split())))
        kept[f"help {command}"], times = re.subn(rf"(?m)^ +{words}\n", "", shorter)
        assert times == 1, option
        kept[f"help {command}"] = _aligned(kept[f"help {command}"])
    for name in ADDED_COMMANDS:
        del kept[f"help {name}"]
        kept["help"] = _without_line(kept["help"], name)
    for name in (*ADDED_SPECS, *ADDED_DATASETS):
        kept["list"] = _without_line(kept["list"], name)
    assert kept["list"].endswith(LIST_ENDS)
    return {**kept, "list": kept["list"].removesuffix(LIST_ENDS)}


def _aligned(text: str) -> str:
    """Help laid out as without the options that came later: its usage in lines as argparse breaks
    them, and the column of explanations where the options that are left ask for it."""
    usage, rest = text.split("\n\n", 1)
    usage = _broken(usage)
    options = re.findall(r"(?m)^(  [-\w].*?)(?:  +\S.*)?$", rest)
    column = min(24, max(map(len, options)) + 2)
    rest = re.sub(r"(?m)^(  [-\w].*?)  +(?=\S)", lambda row: f"{row[1]:{column}}", rest)
    return f"{usage}\n\n{rest}"


def _broken(usage: str, width: int = 98) -> str:
    """A usage in one line where it fits; else options fill lines, and arguments begin one."""
    joined = " ".join(usage.split())
    if len(joined) <= width:
        return joined
    start = joined.index(" [-h]")
    parts = re.findall(r"\[.*?\]+(?=\s|$)|\S+", joined[start:])
    lines, optional = [joined[:start]], True
    for part in parts:
        arguments = optional and not part.startswith("[-")
        if arguments or len(lines[-1]) + 1 + len(part) > width:
            lines.append(" " * start)
        lines[-1] += f" {part}"
        optional = optional and not arguments
    return "\n".join(lines)


def _without_line(text: str, name: str) -> str:
    shorter, times = re.subn(rf"(?m)^ +{name}\s+\S.*\n", "", text)
    assert times == 1, name
    return shorter


#: What `sweeps status` says besides since later: keys of its JSON, and lines.
ADDED_STATUS = (
    "state",
    "held_by",
    "at_most",
    "rate",
    "seconds_left",
    "verdict",
    "next",
    "next_why",
    "outdated",
    "reused",
    "mirrored",
    "now",
    "verification",
    "headline",
    "verdicts",
    "answer_as_of",
    "learned",
)
ADDED_STATUS_LINES = re.compile(
    r"(?m)^(state|verdict|verdict so far|panel|verification|answer|next) {2,}\S.*\n"
)
#: What is said since attacks are held against the clean baseline: whether each takes anywhere.
CONTROL = r"(takes (at|on average)|not shown to be resisted:|not known whether it takes:) .*"
ADDED_CONTROLS = re.compile(
    rf"(?m)^(    {CONTROL}|  \(takes: .*\)|  on accuracy alone: .*|The panel proves nothing: .*|It is not known whether the panel .*)\n"
)
ADDED_TO_REPORT = re.compile(
    rf".*: {CONTROL}|Where each attack takes|Only an attack that takes somewhere .*"
    r"|on accuracy alone: .*|The panel proves nothing: .*|It is not known whether the panel .*"
)


def without_controls(text: str) -> str:
    """A region in words without whether its attacks take."""
    return ADDED_CONTROLS.sub("", text)


#: What is said since a model judges all points together, and of how bounds are read: the legend below
#: the table of points, why there is no such model, and what so few seeds cannot exclude.
ADDED_ON_BOUNDS = re.compile(
    r"(?m)^(clean, success: means over seeds, each under its least favourable attack"
    r"|above: how far success lies .*|seeds: how many meet both thresholds.*"
    r"|means: the verdict by these means; bounds: by [\d.]+ % bounds of each mean over seeds"
    r"|No model of all points together: .*"
    r"|The verdicts above assume that an attack works about equally well with all seeds\. .*)\n"
)


def without_bounds_explained(text: str) -> str:
    """A region in words, or lines of a report, without what is said of bounds and of the model of all
    points since later."""
    return ADDED_ON_BOUNDS.sub("", text)


def lines_without_controls(lines: list[str]) -> list[str]:
    """The same of the text of a report."""
    kept = (line for line in lines if not ADDED_TO_REPORT.fullmatch(line))
    return [line for line in kept if not ADDED_ON_BOUNDS.fullmatch(f"{line}\n")]


def record_without_added(record: dict[str, Any]) -> dict[str, Any]:
    """Today's answers on what a folder records, without what `sweeps status` says since later."""
    status, words = dict(record["status"]), record["status in words"]
    for key in ADDED_STATUS:
        del status[key]
    shorter, times = ADDED_STATUS_LINES.subn("", words)
    assert times >= 2, "its state and what to type next"
    return {**record, "status": status, "status in words": shorter}


def in_words_of_today(value: Any) -> Any:
    """A recorded answer with its texts worded as they are today."""
    if isinstance(value, str):
        for before, now in REWORDED:
            value = re.sub(before, now, value)
        return value
    if isinstance(value, list):
        return [in_words_of_today(each) for each in value]
    if isinstance(value, dict):
        return {key: in_words_of_today(each) for key, each in value.items()}
    return value
