"""The command line: its parser, and how errors are reported."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from backdoor.errors import BackdoorSweepsError, Mistake, UserError, escaped, shortened
from sweeps.addresses import scrubbed, scrubbed_value
from sweeps.cli.commands import COMMANDS, GROUPS
from sweeps.cli.completing import complete
from sweeps.cli.console import (
    FAILURES,
    FINE,
    INTERRUPTED,
    WRONG,
    drop_output,
    print_anything,
    say,
)
from sweeps.cli.ending import ending
from sweeps.cli.helping import PURPOSE, Version, overview
from sweeps.cli.near_misses import NO_CHOICE, choice_message, command_message, unknown_message
from sweeps.cli.os_errors import os_error_line
from sweeps.cli.restarting import restart
from sweeps.cli.trusting import guarding

#: Characters of a message on wrong usage, which repeats what was typed.
LONGEST_USAGE = 2000


class Parser(argparse.ArgumentParser):
    """Meets a misspelt command, option or choice with the one that is probably meant.

    Options are not accepted by their beginnings: a new option would change what one means."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        found = NO_CHOICE.search(message)
        if found and message.startswith("argument COMMAND:"):
            group = self.prog.partition(" ")[2]
            message = command_message(found[1][1:-1], self._commands(), group)
        else:
            message = choice_message(message)
        super().error(shortened(escaped(scrubbed(message)), LONGEST_USAGE))

    def _commands(self) -> list[str]:
        """The commands that may follow."""
        homes = [a for a in self._actions if isinstance(a, argparse._SubParsersAction)]
        return [name for home in homes for name in home.choices]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; but a command refuses itself what it does not take, so that its own
        usage is shown and its own options are suggested."""
        known, extras = super().parse_known_args(args, namespace)
        if extras and not self._commands():
            command = self.prog.partition(" ")[2]
            changes = getattr(known, "set", None)
            self.error(unknown_message(extras, self._option_string_actions, command, changes))
        return known, extras


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands, each with its example."""
    parser = Parser(prog="sweeps", description=PURPOSE, epilog="Start here: sweeps run digits")
    parser.add_argument(
        "--version", action=Version, help="show the versions of this package and of its engines"
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    homes = {"": subparsers}
    parser.set_defaults(handler=_no_command, root=parser)
    for command in COMMANDS:
        summary = str(command.handler.__doc__).splitlines()[0]
        home, _, name = command.name.rpartition(" ")
        if home not in homes:
            group = subparsers.add_parser(home, help=GROUPS[home], description=GROUPS[home])
            group.set_defaults(handler=_no_command_of(group))
            homes[home] = group.add_subparsers(dest="action", metavar="COMMAND")
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


def _no_command(args: argparse.Namespace) -> int:
    """`sweeps` alone: wrong usage as with argparse (exit code 2), so that a script whose variable
    is empty does not go on; the help is on stderr, since it is no answer."""
    say(overview(dict.fromkeys(command.name.partition(" ")[0] for command in COMMANDS)))
    return WRONG


def _no_command_of(group: argparse.ArgumentParser) -> Any:
    """The same for a group of commands, such as `sweeps job`."""

    def say_commands(args: argparse.Namespace) -> int:
        say(group.format_help().rstrip())
        return WRONG

    return say_commands


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    if argv is None:
        restart()
    print_anything()
    try:
        try:
            code = _answer(argv)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
        if code == INTERRUPTED and argv is None:
            # Libraries take seconds to leave, in which nothing limits them and nothing is said.
            os._exit(code)
        return code
    except BrokenPipeError:
        # The reader of stdout, such as `head`, has ended.
        drop_output()
        return FINE
    except OSError as error:
        return _wrong_place(error)


def _answer(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    complete(parser)
    args = parser.parse_args(argv)
    try:
        with guarding(args), ending(args.command):
            code: int = args.handler(args)
        return code
    except UserError as error:
        _say_mistakes(error)
        return WRONG
    except BackdoorSweepsError as error:
        say(f"error: {error}")
        return FAILURES
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED


def _without_secrets(mistake: Mistake) -> Mistake:
    """The mistake without passwords that were typed. Its remedy may have the word PASSWORD."""
    place, rule = scrubbed(mistake.place), scrubbed(mistake.rule)
    return replace(mistake, place=place, rule=rule, value=scrubbed_value(mistake.value))


def _say_mistakes(error: UserError) -> None:
    """One mistake on one line; those of a spec, and several, below a line with their number."""
    count = len(error.mistakes)
    if count == 1 and not error.about:
        say(f"error: {_without_secrets(error.mistakes[0])}")
        return
    where = f" in {error.about}" if error.about else ""
    say(f"error: {count} mistake{'s' if count > 1 else ''}{where}:")
    for mistake in error.mistakes:
        say(f"  {_without_secrets(mistake)}")


def _wrong_place(error: OSError) -> int:
    say(f"error: {shortened(escaped(os_error_line(error)), LONGEST_USAGE)}")
    return WRONG
