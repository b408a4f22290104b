"""What was being trained when the process of a sweep ended, said when it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from backdoor.errors import escaped
from backdoor.wording import counted
from sweeps.ledger import CLEAN, Ledger
from sweeps.storage.paths import SweepPaths
from sweeps.storage.running_file import Running, read_running, remove_running

#: The name of the runner that trains in the process of the command.
SERIAL = "serial"
#: What helps where a trial ends that process again and again.
REMEDY = (
    "If the process ends again, use the runner `tune` instead of `serial`: it trains in other "
    "processes, so that such a trial fails and all others go on"
)


def say_was_running(
    paths: SweepPaths, ledger: Ledger, runner: object, say: Callable[[str], None]
) -> None:
    """Names it once, and forgets it. The folder's lock must be held. runner: what trains now, by
    its name or as it is."""
    if (found := was_running(paths, ledger)) is not None:
        again = "It is tried again" if len(found.trial_ids) == 1 else "They are tried again"
        here = runner == SERIAL or type(runner).__name__ == "SerialRunner"
        own = f"{again}. {REMEDY}" if here else f"{again}, in another process"
        say(f"note: {ended_words(found)}. {own}.")
    remove_running(paths.running)


def was_running(paths: SweepPaths, ledger: Ledger) -> Running | None:
    """What running.json names, unless all of it has ended: it is not removed after each pack."""
    found = read_running(paths.running)
    ended = ledger.ended - ledger.outdated
    return found if found is not None and not ended.issuperset(found.trial_ids) else None


def ended_words(found: Running) -> str:
    """`trial 1a2b (trigger stripes, seed 3) was being trained when process 12 on host, ...`."""
    since = datetime.fromtimestamp(found.since).isoformat(" ", "seconds")
    was = "was" if len(found.trial_ids) == 1 else "were"
    process = f"process {found.pid} on {escaped(found.host)}"
    return f"{_trials(found)} {was} being trained, since {since}, when {process} ended"


def running_words(found: Running, now: float | None = None) -> str:
    """The same of a process that still works. now: seconds since 1970."""
    passed = max(0.0, (time.time() if now is None else now) - found.since)
    return f"{_trials(found)}: in training for {passed:,.0f} seconds, by process {found.pid}"


def _trials(found: Running, most: int = 3) -> str:
    ids, triggers, seeds = found.trial_ids, found.triggers, found.seeds
    kinds = f"{'triggers' if len(triggers) > 1 else 'trigger'} {', '.join(triggers[:most])}"
    if triggers == (CLEAN,):
        kinds = "clean baseline"
    more = ", ..." if len(triggers) > most else ""
    drawn = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds[:most]))}"
    drawn += ", ..." if len(seeds) > most else ""
    known = escaped(f"({kinds}{more}; {drawn})" if len(ids) > 1 else f"({kinds}, {drawn})")
    if len(ids) == 1:
        return f"trial {escaped(ids[0])} {known}"
    first = escaped(", ".join(ids[:most])) + (", ..." if len(ids) > most else "")
    return f"{counted(len(ids), 'trial')} {known}, trained together: {first}"
