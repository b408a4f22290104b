"""Texts that were worded otherwise at 5634bd7: the record stays as it is, and is read by this table.

Only words differ: each pattern leaves numbers and order as they were recorded.
"""

from __future__ import annotations

import re
from typing import Any

#: What the record says → what is said today.
REWORDED = [
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
]

#: Commands that came later: the record has no help of theirs.
ADDED_COMMANDS = ("completion",)
#: Bundled specs that came later: the record has neither their line in lists nor their ids.
ADDED_SPECS = ("own-images",)


#: Options that came later: command → the option and its line of help.
ADDED_OPTIONS = {"check": ("--json", "answer in JSON")}
#: Lines of `sweeps check` that came later.
ADDED_LINES = re.compile(r"(?m)^  (data|target): .*\n")
#: Data sets that came later, and settings of those of before.
ADDED_DATASETS = ("csv",)
ADDED_SETTINGS = {"background", "bits", "layout", "image_column", "config"}
#: The settings of a data set in `sweeps list`.
SETTINGS = re.compile(r"(?m)\[(classes, train, .*)\]$")


def _sorted_settings(text: str) -> str:
    """`sweeps list` with the settings of data sets in alphabetical order, without the new ones."""

    def alphabetical(found: re.Match[str]) -> str:
        return f"[{', '.join(sorted(set(found[1].split(', ')) - ADDED_SETTINGS))}]"

    return SETTINGS.sub(alphabetical, text)


def without_added(texts: dict[str, str]) -> dict[str, str]:
    """Today's texts without what came later: the help of commands and options, lines of lists and
    of checks."""
    kept = {k: ADDED_LINES.sub("", t) if k.startswith("check ") else t for k, t in texts.items()}
    for command, (option, told) in ADDED_OPTIONS.items():
        shorter = kept[f"help {command}"].replace(f" [{option}]", "", 1)
        kept[f"help {command}"], times = re.subn(rf"(?m)^ +{option} +{told}\n", "", shorter)
        assert times == 1, option
    for name in ADDED_COMMANDS:
        del kept[f"help {name}"]
        kept["help"] = _without_line(kept["help"], name)
    for name in (*ADDED_SPECS, *ADDED_DATASETS):
        kept["list"] = _without_line(kept["list"], name)
    return {**kept, "list": _sorted_settings(kept["list"])}


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
)
ADDED_STATUS_LINES = re.compile(r"(?m)^(state|verdict|verdict so far|next) {2,}\S.*\n")


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
        return _sorted_settings(value)
    if isinstance(value, list):
        return [in_words_of_today(each) for each in value]
    if isinstance(value, dict):
        return {key: in_words_of_today(each) for key, each in value.items()}
    return value
