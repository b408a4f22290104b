"""`sweeps completion`, and what a shell offers when the tab key is pressed.

A shell that has sourced the script of `sweeps completion` runs `sweeps` with `_ARGCOMPLETE` in its
environment at each press of the tab key. So a completer loads nothing heavy: it lists files.
A completer takes what argcomplete passes by name, and returns texts, or text → description.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from sweeps.cli.console import FINE, say
from sweeps.storage.bundled import bundled_purposes

#: Shell → the line for its start-up file.
SOURCED = {
    "bash": 'eval "$(sweeps completion bash)"',
    "zsh": 'eval "$(sweeps completion zsh)"',
    "fish": "sweeps completion fish | source",
    "powershell": "sweeps completion powershell | Out-String | Invoke-Expression",
}
SHELLS = list(SOURCED)
SPEC_FILES = (".yaml", ".yml")


def completion(args: argparse.Namespace) -> int:
    """Print the script for tab completion in a shell."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["sweeps"], use_defaults=False, shell=args.shell))
    if sys.stdout.isatty():
        say(f"note: put this line into your shell's start-up file: {SOURCED[args.shell]}")
    return FINE


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that asks for completions and ends the process; else returns at once."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    from argcomplete import autocomplete
    from argcomplete.completers import SuppressCompleter

    # Options are offered once a dash is typed, so that they do not hide specs and folders. Numbers
    # and ids are not completed: file names in their place would mislead.
    autocomplete(parser, always_complete_options=False, default_completer=SuppressCompleter())


def folders(prefix: str, **_: object) -> list[str]:
    """Folders that begin so."""
    return [text for text in _entries(prefix) if text.endswith("/")]


def files(prefix: str, **_: object) -> list[str]:
    """Files and folders that begin so."""
    return list(_entries(prefix))


def specs(prefix: str, **_: object) -> dict[str, str]:
    """Bundled specs, each with its purpose, and YAML files."""
    return bundled_purposes("specs") | _yaml_files(prefix)


def panels(prefix: str, **_: object) -> dict[str, str]:
    """Bundled panels of attacks, `none`, and YAML files."""
    return bundled_purposes("panels") | {"none": "no attack"} | _yaml_files(prefix)


def _yaml_files(prefix: str) -> dict[str, str]:
    """YAML files, and folders, which may hold some."""
    return {text: "" for text in files(prefix) if text.endswith(("/", *SPEC_FILES))}


def _entries(prefix: str) -> Iterator[str]:
    """What begins so, folders with a slash at their end.

    Each begins as it is typed, also with a tilde, since shells drop what does not.
    """
    typed, begun = os.path.split(prefix)
    start = prefix[: len(prefix) - len(begun)]
    try:
        with os.scandir(os.path.expanduser(typed) or ".") as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        hidden = entry.name.startswith(".") and not begun.startswith(".")
        # Bytes that are no text cannot be printed, and a control character would end the name.
        if entry.name.startswith(begun) and not hidden and entry.name.isprintable():
            yield start + entry.name + "/" * entry.is_dir()
