"""`sweeps init`: a commented spec to begin from, with a name and so a results folder of its own."""

from __future__ import annotations

import argparse
import os
import re
import unicodedata
from pathlib import Path

from backdoor.errors import Mistake, UserError, escaped
from sweeps.cli.console import FINE, say
from sweeps.storage.bundled import bundled_files
from sweeps.storage.shell import command, line_of

#: The bundled spec that the template is made of, and how it begins.
TEMPLATE, NAMED = "digits", "name: digits\n"
HEAD = """\
# A question: in which settings are models accurate while backdoors in their training data fail?
# Edit this file, then:
#   {check}   every mistake at once, and what would run
#   {run}   the answer; its results are in {folder}
#   {again}   goes on after Ctrl-C
#   {extend}   more seeds, values or attacks, once it has run
# It begins as the demo on handwritten digits, which takes about a minute. Your own images:
# `sweeps list datasets`; triggers, architectures and the rest: `sweeps list`.

# The results folder is called so.
name: {name}
"""
#: Characters of a name; more are refused in a spec.
LONGEST = 64


def init(args: argparse.Namespace) -> int:
    """Write a commented spec to begin from."""
    from sweeps.storage.named_places import named_place

    target = named_place(args.file, "FILE")
    name = free_name(target.stem)
    _write_new(target, args.file, template(name, args.file))
    say(f"{escaped(args.file)} is a commented spec named {name}. Edit it, then try:")
    for verb in ("check", "run"):
        say(f"  {command('sweeps', verb, args.file)}")
    return FINE


def template(name: str, file: str) -> str:
    """The text of the template."""
    bundled = bundled_files("specs")[TEMPLATE].read_text(encoding="utf-8")
    folder = f"results/{name}"
    lines = {
        "check": ["check", file],
        "run": ["run", file],
        "again": ["resume", folder],
        "extend": ["extend", folder, "--set", "seeds=5"],
    }
    shown = {key: line_of(["sweeps", *words]) for key, words in lines.items()}
    width = max(map(len, shown.values()))
    aligned = {key: line.ljust(width) for key, line in shown.items()}
    return HEAD.format(name=name, folder=folder, **aligned) + bundled.partition(NAMED)[2]


def free_name(stem: str) -> str:
    """A valid name like a file's, that no bundled spec has and whose results folder is free."""
    plain = unicodedata.normalize("NFKD", stem.translate(GERMAN)).encode("ascii", "ignore").decode()
    valid = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[: LONGEST - 5].rstrip("-._")
    name, number = valid or "my-sweep", 1
    taken = bundled_files("specs")
    while name in taken or os.path.lexists(Path("results") / name):
        number += 1
        name = f"{valid or 'my-sweep'}-{number}"
    return name


#: Letters that are more than one in ASCII.
GERMAN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
)


def _write_new(target: Path, given: str, text: str) -> None:
    """Writes a file that does not exist yet; a link is not followed."""
    if os.path.isdir(target):
        remedy = f"It is a folder: name a file in it, such as {target / 'my.yaml'}."
        raise UserError(Mistake("FILE", "must be a new file", given, remedy))
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        remedy = "Choose another name."
        raise UserError(Mistake("FILE", "must not exist yet", given, remedy)) from None
    except (OSError, ValueError) as error:
        rule, remedy = "must be a new file in a place that can be written", "Choose another place."
        if not os.path.exists(target.parent):
            rule = "must be in a folder that exists"
            remedy = f"Make the folder first: {command('mkdir', '-p', target.parent)}."
        elif isinstance(error, OSError) and error.strerror:
            rule += f" ({error.strerror})"
        raise UserError(Mistake("FILE", rule, given, remedy)) from None
