"""Failures, deaths of workers and nodes that are left out, in one line each, for the console; and
what many failures have in common.

All lines are fit for a terminal: without what it would obey, and without passwords.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath

from backdoor.errors import escaped, shortened
from backdoor.wording import counted
from sweeps.addresses import scrubbed
from sweeps.records.failure import TOO_LARGE, Failure

#: Characters of an error in a line, and of a trial's and a node's id.
LONGEST_ERROR, ID_LENGTH, NODE_LENGTH = 300, 8, 8
#: Trials and hosts that a line names.
MOST_NAMED = 3
#: The name of an exception, as errors begin.
_KIND = re.compile(r"[A-Za-z_][\w.]*(?=: |:?$)")


def death_line(failure: Failure, trial_ids: Sequence[str]) -> str:
    """`a worker on host7 died while it ran trial 1a2b3c4d: killed by signal 11 (SIGSEGV)`.

    trial_ids: of the pack that ran; empty where none did. Where only some of them can be the
    culprit, these are named.
    """
    ran = f" while it ran {_who(failure, trial_ids)}" if trial_ids else ""
    return f"a worker{_on(failure)} died{ran}: {_error_and_place(failure)}"


def node_line(host: str | None, node_id: str | None, reason: str) -> str:
    """`node host7 (2f3e9a01…) is left out: cannot read the data: ...`"""
    return f"{node_name(host, node_id)} is left out: {for_line(reason)}"


def back_line(host: str | None, node_id: str | None) -> str:
    """`node host7 (2f3e9a01…) is back: it passed its check`"""
    return f"{node_name(host, node_id)} is back: it passed its check"


def open_line(count: int, noun: str, status: str) -> str:
    """`2 trials are open: they failed where nothing has succeeded yet, so ...`, of at least one.

    status: the command that says why, as the line has it.
    """
    failed = "is open: it" if count == 1 else "are open: they"
    fault = "it or its node is" if count == 1 else "they or their nodes are"
    return (
        f"{counted(count, noun)} {failed} failed where nothing has succeeded yet, so that nobody "
        f"knows whether {fault} at fault. {status} says why."
    )


def common_cause(failures: Sequence[Failure]) -> str:
    """What failures have in common, in a line: the whole error, else its kind and place, else the
    kind, the place, or the machine; where all differ, the most frequent ones with their counts.

    `all 5 failures: KeyError: 'opacity' at marks.py:12, on host7 and host8`
    """
    if not failures:
        return "there are no failures"
    count = {1: "the only failure", 2: "both failures"}.get(len(failures))
    count = count or f"all {len(failures)} failures"
    hosts = _listed([each.host for each in failures], "on")
    if (error := _same(failures, lambda each: for_line(each.error))) is not None:
        return f"{count}: {error}{_at(_same(failures, place_name))}{hosts}"
    kind, place = _same(failures, error_kind), _same(failures, place_name)
    if kind is not None or place is not None:
        shared = f"{kind}{_at(place)}" if kind else f"a failure{_at(place)}"
        return (
            f"{count} have in common: {shared}{hosts}; the latest: {for_line(failures[-1].error)}"
        )
    frequent = Counter(map(_kind_and_place, failures)).most_common()
    parts = ", ".join(f"{number} x {text}" for text, number in frequent[:MOST_NAMED])
    more = f", and {len(frequent) - MOST_NAMED} other kinds" if len(frequent) > MOST_NAMED else ""
    host = _same(failures, lambda each: each.host)
    shared = f"nothing but the host {plain_text(host)}" if host else "nothing"
    return f"{count} have {shared} in common: {parts}{more}{'' if host else hosts}"


# --- parts of lines ----------------------------------------------------------------------------


def plain_text(text: str) -> str:
    """A text of one line as a terminal may show it: escaped, and without passwords."""
    return escaped(scrubbed(text))


def for_line(text: str) -> str:
    """The same in one line, shortened with its length said."""
    return shortened(plain_text(" ".join(text.split())), LONGEST_ERROR)


def node_name(host: str | None, node_id: str | None) -> str:
    """`node host7 (2f3e9a01…)`; a machine that is not known by its name goes by its id."""
    short = "" if not node_id else plain_text(node_id[:NODE_LENGTH])
    short += "…" if node_id and len(node_id) > NODE_LENGTH else ""
    if not host:
        return f"node {short or 'of unknown name'}"
    return f"node {plain_text(host)}" + (f" ({short})" if short else "")


def trials_name(trial_ids: Sequence[str]) -> str:
    """`trial 1a2b3c4d`, `trials 1a2b3c4d, 2b3c4d5e, 3c4d5e6f and 2 more`."""
    named = ", ".join(plain_text(each[:ID_LENGTH]) for each in trial_ids[:MOST_NAMED])
    more = f" and {len(trial_ids) - MOST_NAMED} more" if len(trial_ids) > MOST_NAMED else ""
    if not trial_ids:
        return "a pack"
    return f"trial{'s' * (len(trial_ids) > 1)} {named}{more}"


def place_name(failure: Failure) -> str | None:
    """`marks.py:12`: the file without its folders, which differ by node, but for a package's own
    file, `marks/__init__.py:3`; None where it is not known."""
    return None if not failure.place else short_place(failure.place)


def short_place(place: str) -> str:
    """`file:line` without its folders."""
    path = PurePath(place)
    parts = path.parts[-2:] if path.name.startswith("__") else path.parts[-1:]
    return plain_text("/".join(parts))


def error_kind(failure: Failure) -> str | None:
    """The exception's name, such as `ValueError`; None of an error that names none, such as the
    death of a process."""
    found = _KIND.match(failure.error.removeprefix(TOO_LARGE))
    return None if found is None else plain_text(found[0])


def _who(failure: Failure, trial_ids: Sequence[str]) -> str:
    some = [each for each in trial_ids if each in failure.suspects]
    if not some or len(some) == len(trial_ids):
        return trials_name(trial_ids)
    return f"{trials_name(some)} of a pack of {len(trial_ids)}"


def _on(failure: Failure) -> str:
    return f" on {plain_text(failure.host)}" if failure.host else ""


def _error_and_place(failure: Failure) -> str:
    place = place_name(failure)
    return for_line(failure.error) + (f" ({place})" if place else "")


def _kind_and_place(failure: Failure) -> str:
    kind = error_kind(failure)
    return for_line(failure.error) if kind is None else f"{kind}{_at(place_name(failure))}"


def _at(place: str | None) -> str:
    return f" at {place}" if place else ""


def _same(failures: Sequence[Failure], part: Callable[[Failure], str | None]) -> str | None:
    """The part of the failures that all of them share; None where it differs or is missing."""
    found = {part(each) for each in failures}
    return found.pop() if len(found) == 1 else None


def _listed(names: Iterable[str | None], word: str) -> str:
    """`, on host7 and host8`; nothing where no name is known."""
    known = [plain_text(name) for name in dict.fromkeys(names) if name]
    if not known:
        return ""
    shown = known[:MOST_NAMED]
    if len(known) > MOST_NAMED:
        return f", {word} {', '.join(shown)} and {len(known) - MOST_NAMED} more"
    return f", {word} " + " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
