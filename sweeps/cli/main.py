"""The command line: its parser, and how errors are reported."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from backdoor.errors import BackdoorSweepsError, UserError
from sweeps.cli.commands import COMMANDS, GROUPS
from sweeps.cli.completing import complete
from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, WRONG, say
from sweeps.cli.os_errors import os_error_line
from sweeps.cli.restarting import restart


class Parser(argparse.ArgumentParser):
    """Meets a misspelt command or choice with the one that is probably meant."""

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if found and (near := get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), 1)):
            message += f". Did you mean {near[0]}?"
        super().error(message)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands, each with its example."""
    parser = Parser(
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
            action = sub.add_argument(*argument.flags, **argument.options)
            if argument.completer:
                action.completer = argument.completer  # type: ignore[attr-defined]
        sub.set_defaults(handler=command.handler)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    if argv is None:
        restart()
    parser = build_parser()
    complete(parser)
    args = parser.parse_args(argv)
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
        say(f"error: {os_error_line(error)}")
        return WRONG
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
