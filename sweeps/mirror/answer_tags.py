"""The answer of a sweep as tags and description of its MLflow experiment.

The tags are for searching and for columns; the description is for people. Of the latter MLflow
shows the first line alone until it is opened: it says how the region stands with fresh trainings,
and the strongest claim that holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backdoor.errors import escaped, shortened
from sweeps.mirror.description import NOTE
from sweeps.mirror.run_record import VALUE_LENGTH, clean_text
from sweeps.records.answer_entry import SpaceShares, VerdictsEntry, VerificationEntry
from sweeps.records.answer_lines import stability_lines, verdict_lines
from sweeps.records.control_text import control_answer
from sweeps.records.data_entry import data_text, data_warnings
from sweeps.records.headline import percent
from sweeps.records.region_file import RegionFile

#: Of one section of the description: entries, and characters of each.
ENTRIES, ENTRY_LENGTH = 12, 600
NONE = "none"
#: One place says what to do, by what the folder holds now, which the tags may be older than.
NEXT = "`sweeps status DIR` says what to do next; `sweeps report DIR` writes the page"
#: Characters kept for saying that a text was cut.
_SAID = 120


def answer_tags(region: RegionFile) -> dict[str, str]:
    """Tags of the experiment, the description (`mlflow.note.content`) among them; none where the
    region is of an earlier release, which did not say all this."""
    headline, verdicts = region.get("headline"), region.get("verdicts")
    if headline is None or verdicts is None:
        return {}
    setting = region.get("setting")
    tags = {
        "headline": headline["text"],
        "verification": _standing(region.get("verification")),
        "recommended": NONE if setting is None else setting["label"],
        "recommended_basis": NONE if setting is None else setting["basis"],
        **verdict_texts(verdicts),
    }
    return {**{key: tag_text(value) for key, value in tags.items()}, NOTE: description(region)}


def tag_text(text: str) -> str:
    """A value that every store of MLflow takes; where it is cut, it says so."""
    return clean_text(shortened(text, VALUE_LENGTH - _SAID), VALUE_LENGTH)


def verdict_texts(verdicts: VerdictsEntry) -> dict[str, str]:
    """Verdict to how many points have it, and of a region search to its share of the space:
    `3 of 36 tried points; 41 % of the space`."""
    points, space = verdicts["points"], verdicts["space"]
    counts = {
        "certainly_in": points["certainly_in"],
        "likely_in": points["likely_in"],
        "undecided": points["undecided"],
        "likely_out": points["likely_out"],
        "certainly_out": points["certainly_out"],
    }
    shares = {} if space is None else _shares(space)
    return {
        name: f"{count:,} of {points['total']:,} tried points" + shares.get(name, "")
        for name, count in counts.items()
    }


def _shares(space: SpaceShares) -> dict[str, str]:
    values = {
        "likely_in": space["likely_in"],
        "undecided": space["undecided"],
        "likely_out": space["likely_out"],
    }
    return {name: f"; {percent(share)} of the space" for name, share in values.items()}


# --- the description ---------------------------------------------------------------------------


def description(region: RegionFile) -> str:
    """Markdown of at most 4,000 characters; where it is cut, it says so."""
    blocks = [
        f"**{_lead(region.get('verification'))}.** {_plain(region['headline']['text'])}",
        *_section("Question and state", _question(region)),
        *_section("Recommended setting", _recommended(region)),
        *_section("Verdicts", verdict_lines(region["verdicts"])),
        *_section("What this does not cover", _uncovered(region)),
        f"**Next**\n\n{NEXT}",
        *_section("Where the region is, and how stable", _where(region)),
        *_section("Data", _data(region)),
    ]
    whole = clean_text("\n\n".join(blocks), 10**6)
    if len(whole) <= VALUE_LENGTH:
        return whole
    kept = whole[: VALUE_LENGTH - _SAID]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept.rstrip("\\")
    mark = f"*Cut here: {len(whole):,} characters in all. `sweeps region DIR` says the rest.*"
    return f"{kept.rstrip()} ...\n\n{mark}"


def _section(title: str, entries: Sequence[str]) -> list[str]:
    """A heading with a list; nothing where that is empty."""
    entries = [entry for entry in entries if entry.strip()]
    if not entries:
        return []
    shown = [_plain(shortened(entry, ENTRY_LENGTH)) for entry in entries[:ENTRIES]]
    if len(entries) > ENTRIES:
        shown.append(f"... and {len(entries) - ENTRIES:,} more")
    return [f"**{title}**", "\n".join(f"- {entry}" for entry in shown)]


def _plain(text: str) -> str:
    """A text as one line of Markdown that means nothing but itself: names may hold any sign."""
    line = escaped(" ".join(text.split()))
    line = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)
    return re.sub(r"(?<!\w)_|_(?!\w)|[*`~|\[\]]", lambda sign: f"\\{sign[0]}", line)


def _standing(entry: VerificationEntry | None) -> str:
    """`failed (2 of 5 draws pass)`, also where an earlier release did not say it."""
    return "not yet" if entry is None else (entry["text"] or entry["state"])


def _lead(entry: VerificationEntry | None) -> str:
    """What the description begins with."""
    if entry is None or entry["state"] == "not yet":
        return "Not verified yet"
    said = _plain(_standing(entry)).rstrip(".")
    if said.lower().startswith(("verified", "verification", "not verified")):
        return said[0].upper() + said[1:]
    return f"Verification: {said}"


def _question(region: RegionFile) -> list[str]:
    found = []
    if (question := region.get("question")) is not None:
        found.append(question["text"])
    if (state := region.get("state")) is not None:
        found.append(state["text"])
    return found


def _recommended(region: RegionFile) -> list[str]:
    setting = region.get("setting")
    if setting is None:
        return ["None: no setting is known to be inside."]
    return setting["text"] or [f"{setting['label']}: IN by {setting['basis']}"]


def _uncovered(region: RegionFile) -> list[str]:
    attacks = len(region["panel"])
    panel = f"the {attacks:,} attacks" if attacks != 1 else "the one attack"
    return [
        f"Only {panel} of the panel, on these data: nothing is said of others.",
        *control_answer(region),
        *region.get("doubts", []),
        *region.get("lacks", []),
    ]


def _where(region: RegionFile) -> list[str]:
    where = region.get("where")
    return [*([] if where is None else where["text"]), *stability_lines(region)]


def _data(region: RegionFile) -> list[str]:
    warned = [f"Warning: {warning}" for warning in data_warnings(region)]
    return [*data_text(region), *warned]
