"""The head of a report: how the region stands, its strongest claim, all verdicts, the question.

Everything is what region.json says; the sentences are those of `templates/answer.html`.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.figures import has_figures
from dashboards.results import Results
from sweeps.records.answer_entry import (
    HeadlineEntry,
    PointVerdict,
    QuestionEntry,
    StateEntry,
    VerdictsEntry,
    VerificationEntry,
)
from sweeps.records.control_text import control_answer
from sweeps.records.data_entry import data_text, data_warnings
from sweeps.records.model_notes import model_notes
from sweeps.records.model_used import judged_together
from sweeps.records.region_file import RegionFile
from sweeps.records.seed_model_text import seed_model_lines

#: Verdicts in the order of the table; the key of each count has `_` for a space.
VERDICTS: tuple[PointVerdict, ...] = (
    "certainly in",
    "likely in",
    "undecided",
    "likely out",
    "certainly out",
    "incomplete",
)


@dataclass(frozen=True)
class VerdictRow:
    """One verdict. key: of its count in `verdicts.points`. points: tried ones that have it. share:
    of the space of a region search, None where the model says none."""

    key: str
    verdict: str
    points: int
    share: float | None


@dataclass(frozen=True)
class Opening:
    """Standing, claim, verdicts, question, data and state.

    searched: whether a region search judges a whole space. one_seed: whether all judged points
    have one seed, and no bounds. notes: what must be known of the models that judge points
    together, in sentences. panel: a sentence where no attack is known to take. data: what was read,
    in lines; data_warnings: what makes results doubtful. lacks: what a file of an earlier version
    does not say.
    """

    verification: VerificationEntry
    headline: HeadlineEntry
    verdicts: VerdictsEntry
    rows: list[VerdictRow]
    question: QuestionEntry
    state: StateEntry
    searched: bool
    one_seed: bool
    notes: list[str]
    panel: list[str]
    data: list[str]
    data_warnings: list[str]
    lacks: list[str]


def opening(results: Results) -> Opening:
    """The head of the page."""
    region = results.region
    judged = [point for point in results.points if has_figures(point)]
    return Opening(
        verification=region["verification"],
        headline=region["headline"],
        verdicts=region["verdicts"],
        rows=_rows(region["verdicts"]),
        question=region["question"],
        state=region["state"],
        searched=results.searched,
        one_seed={point["seeds"] for point in judged} == {1},
        notes=[*_of_search(region), *(_of_points(results) if judged else [])],
        panel=control_answer(region),
        data=data_text(region) or data_text(results.sweep),
        data_warnings=data_warnings(results.sweep),
        lacks=region.get("lacks", []),
    )


def _rows(verdicts: VerdictsEntry) -> list[VerdictRow]:
    points, space = dict(verdicts["points"]), verdicts["space"]
    shares = {} if space is None else dict(space)
    return [
        VerdictRow(key, verdict, _count(points[key]), _share(shares.get(key)))
        for verdict in VERDICTS
        for key in [verdict.replace(" ", "_")]
    ]


def _count(value: object) -> int:
    assert isinstance(value, int)
    return value


def _share(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _of_search(region: RegionFile) -> list[str]:
    """Sentences only: what follows them indented is a table of its own."""
    return [line for line in model_notes(region) if not line.startswith(" ")]


def _of_points(results: Results) -> list[str]:
    """What the model of all points says but for its counts: those are below the points' table."""
    lines = seed_model_lines(results.region)
    return lines[1:] if judged_together(results.region) else lines
