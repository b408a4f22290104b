"""Source code of users' kinds that has changed since recorded trials were trained with it.

Nothing is imported for it: the rows have a digest of the code, and so have the files. Trials of two
versions of a kind do not mix unless the user accepts it, which sweep.json then records.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import Mistake, UserError, escaped
from backdoor.settings.outside import KIND
from backdoor.settings.source_digest import RULE, outside_kinds, present_digest
from backdoor.settings.source_files import user_code
from backdoor.wording import counted, noun_for
from sweeps.ledger import Ledger
from sweeps.ledger.kinds_named import rows_naming_kinds
from sweeps.records.sweep_file import AcceptedCode
from sweeps.storage.files import read_text, write_json
from sweeps.storage.paths import SweepPaths, read_sweep

FLAG = "--accept-changed-code"
#: A kind of users, as specs and configurations write it.
_KIND = re.compile(rf"\b{KIND}")
#: Most files that a message names.
SHOWN = 5


@dataclass(frozen=True)
class CodeGroup:
    """Recorded trials of the same kinds of users with the same digest of their code. since, until:
    when the first and the last of them ended, in seconds of Unix time."""

    kinds: tuple[str, ...]
    digest: str | None
    rows: int
    since: float
    until: float

    @property
    def comparable(self) -> bool:
        """Whether the digest is one of today's rule; earlier releases had none, or another."""
        return (self.digest or "").startswith(RULE)

    @property
    def named(self) -> str:
        return " and ".join(self.kinds)

    @property
    def trials(self) -> str:
        return f"{counted(self.rows, 'recorded trial')} since {_day(self.since)}"


@dataclass(frozen=True)
class CodeCheck:
    """What `check_code` found. notes: in words, for the user. accepted: changes to be recorded."""

    notes: tuple[str, ...] = ()
    accepted: tuple[AcceptedCode, ...] = ()

    def record(self, paths: SweepPaths) -> None:
        """Adds the accepted changes to sweep.json. For who holds the folder's lock."""
        if self.accepted:
            sweep = read_sweep(paths)
            known = sweep.get("accepted_code", [])
            write_json(paths.sweep, {**sweep, "accepted_code": [*known, *self.accepted]})


def check_code(
    paths: SweepPaths, accept: bool = False, flag: str = FLAG, ledger: Path | None = None
) -> CodeCheck:
    """Compares the code of users' kinds with that of recorded trials; writes nothing.

    accept: whether changed code is accepted. flag: how the user says so. ledger: the folder of the
    trials, by default the sweep's own; else a verification's.

    Raises:
        UserError: code has changed and that is not accepted, with every kind.
    """
    if not _KIND.search(_written(paths)):
        return CodeCheck()
    groups = code_groups(ledger or paths.ledger)
    now = {group.kinds: present_digest(group.kinds) for group in groups}
    accepted = read_sweep(paths).get("accepted_code", [])
    notes, changed = list[str](), list[CodeGroup]()
    for group in groups:
        present = now[group.kinds]
        if present is None or not group.comparable:
            notes.append(_unknown(group, present))
        elif group.digest != present:
            earlier = _accepted(accepted, group, present)
            if earlier is None:
                changed.append(group)
            else:
                notes.append(f"{_of_other_code(group)}, which was accepted {earlier['accepted']}")
    if changed and not accept:
        raise UserError([_mistake(group, flag) for group in changed])
    notes += [f"{_of_other_code(group)}, which is accepted now" for group in changed]
    return CodeCheck(tuple(notes), _entries(changed, now))


def code_groups(folder: Path) -> list[CodeGroup]:
    """The trials of a ledger that name kinds of users, by kinds and digest, in order of time. Those
    that failed do not count: they are trained again."""
    rows = Ledger(folder, keep=False).table() if folder.is_dir() else None
    if rows is None:
        return []
    found: dict[tuple[tuple[str, ...], str | None], list[float]] = {}
    for row in rows_naming_kinds(rows):
        kinds = outside_kinds(json.loads(row["config"]))
        if kinds:
            found.setdefault((kinds, row["source_digest"]), []).append(row["finished_at"] or 0.0)
    groups = [CodeGroup(*key, len(t), min(t), max(t)) for key, t in found.items()]
    return sorted(groups, key=lambda group: (group.since, group.kinds))


def _written(paths: SweepPaths) -> str:
    """What the folder says that it asks, and has asked."""
    return "\n".join(read_text(file) for file in (paths.spec, paths.sweep) if file.is_file())


def _accepted(
    entries: Sequence[AcceptedCode], group: CodeGroup, present: str
) -> AcceptedCode | None:
    looked_for = list(group.kinds), group.digest, present
    same = (e for e in entries if (list(e["kinds"]), e["before"], e["after"]) == looked_for)
    return next(same, None)


def _entries(
    groups: Sequence[CodeGroup], now: Mapping[tuple[str, ...], str | None]
) -> tuple[AcceptedCode, ...]:
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found: dict[tuple[tuple[str, ...], str | None], AcceptedCode] = {}
    for group in groups:
        found[group.kinds, group.digest] = {
            "kinds": list(group.kinds),
            "before": str(group.digest),
            "after": str(now[group.kinds]),
            "rows": group.rows,
            "accepted": when,
        }
    return tuple(found.values())


def _mistake(group: CodeGroup, flag: str) -> Mistake:
    rule = f"must have the code that trained {group.trials}"
    remedy = (
        "Restore the code, or begin a new sweep. "
        f"To go on with trials of both, add {flag}: sweep.json then records it."
    )
    return Mistake(group.named, rule, _where(group), remedy)


def _where(group: CodeGroup) -> str:
    """Where the code lies that has changed. Files that were written later are named, unless all of
    them were, as those that were sent to a cluster."""
    units = user_code(group.kinds).values()
    files = [source for unit in units for source in unit.sources()]
    later = [name for name, file in files if file.stat().st_mtime > group.until]
    places = []
    for unit in units:
        count = f" ({counted(len(unit.sources()), '.py file')})" if unit.is_package else ""
        places.append(f"{unit.places[0]}{count}")
    names = ", ".join(later[:SHOWN]) + (", ..." if len(later) > SHOWN else "")
    since = f"; written since then: {names}" if 0 < len(later) < len(files) else ""
    return f"other code in {' and '.join(places)}{since}"


def _of_other_code(group: CodeGroup) -> str:
    are = noun_for(group.rows, "is", "are")
    return f"{group.trials} {are} of other source code of {escaped(group.named)}"


def _unknown(group: CodeGroup, present: str | None) -> str:
    if present is None:
        why = "its source code is not found here"
    elif group.digest is None:
        why = "they have no digest of its source code"
    else:
        why = "an earlier release recorded its source code by another rule"
    kinds = escaped(group.named)
    return f"whether {kinds} has changed is not known for {group.trials}: {why}"


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
