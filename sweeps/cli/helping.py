"""What is said of the command itself: `sweeps`, `sweeps help` and `sweeps --version`."""

from __future__ import annotations

import argparse
import importlib.metadata
import textwrap
from collections.abc import Iterable
from typing import Any

from sweeps.cli.console import FINE, terminal_width

#: What the command is for.
PURPOSE = (
    "Find the training settings with which a model stays accurate and backdoors in its training "
    "data fail."
)
#: First commands, and what they do.
FIRST = {
    "sweeps run digits": "the demo: a small sweep, about a minute",
    "sweeps init my.yaml": "a spec of your own to edit; then `sweeps check my.yaml`",
    "sweeps region results/digits": "where accuracy is high and every attack fails",
}
#: Packages whose versions are shown with ours.
PACKAGES = ("torch", "ray", "mlflow", "optuna")


class Version(argparse.Action):
    """`--version`: prints the versions and ends. They are looked up only when they are asked for,
    and nothing is imported."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(version_text())
        parser.exit()


def version_text() -> str:
    """`backdoor-sweeps 0.1.0 (torch 2.9.0, ray 2.55.0, mlflow 3.10.0, optuna 5.0.0)`."""
    others = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return f"backdoor-sweeps {_version('backdoor-sweeps')} ({others})"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def overview(commands: Iterable[str]) -> str:
    """What `sweeps` says without a command. commands: the first words of all of them."""
    width = min(terminal_width() or 100, 100)
    first = [f"  {line:30} {what}" for line, what in FIRST.items()]
    listing = textwrap.wrap(", ".join(commands), width, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(
        [
            *textwrap.wrap(PURPOSE, width),
            "",
            "Start here:",
            *first,
            "",
            "Commands:",
            *listing,
            "",
            "`sweeps help` says what each does, `sweeps help COMMAND` how one is used.",
        ]
    )


def help_on(args: argparse.Namespace) -> int:
    """Say what a command does and takes."""
    args.root.parse_args([*args.topic, "--help"])  # which ends the process
    return FINE
