"""`sweeps status` in words: what is known and what to type next come first, then figures, and
last what failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backdoor.errors import escaped
from backdoor.wording import counted, in_units, noun_for
from sweeps.cli.status_failures import failed_lines, other_lines
from sweeps.cli.status_panel import panel_states
from sweeps.cli.status_standing import standing_words

if TYPE_CHECKING:
    from sweeps.cli.status import StatusAnswer
    from sweeps.cli.status_verdict import Verdict

#: Names of figures in words, where they are not those of the keys.
SHOWN_AS = {"foretold": "predicted verdicts"}
#: What is not a figure in a line of its own.
OTHERS = (
    *("failures", "studies", "state", "held_by", "at_most", "rate", "seconds_left"),
    *("verdict", "next", "next_why", "outdated", "reused", "learned", "mirrored", "now"),
    *("verification", "headline", "verdicts", "answer_as_of"),
    *("failure_groups", "open", "nodes", "lost_workers", "in_common"),
)
#: Figures that are left out where they are zero.
RARE = ("stopped", "failed", "foretold", "collapsed", "diverged")
#: Columns of the names of figures.
WIDTH = 18


def status_text(answer: StatusAnswer, now: float | None = None) -> str:
    """Lines for people. now: seconds since 1970, by default the present."""
    present = time.time() if now is None else now
    lines = [
        _line("name", answer["name"]),
        *_state(answer),
        *_lead(answer, present),
        *_time_left(answer),
        *_known(answer, present),
        _line("next", _next(answer)),
        *_figures(answer),
        *failed_lines(answer),
        *(_line(*each) if each[0] else each[1] for each in other_lines(answer, present)),
        *_probes(answer),
    ]
    return "\n".join(lines)


def _line(name: str, value: object) -> str:
    return f"{name:{WIDTH}} {value}"


def _figures(answer: StatusAnswer) -> Iterator[str]:
    for name, value in answer.items():
        if name not in ("name", *OTHERS) and (value or name not in RARE):
            shown = SHOWN_AS.get(name, name.replace("_", " "))
            yield _line(shown, _with_unit(name, value, answer["at_most"]))
        if name == "foretold" and answer["outdated"]:
            again = counted(answer["outdated"], "recorded trial")
            yield _line("to train again", f"{again}, since the sweep was extended")
        if name == "foretold" and answer["reused"]:
            yield _line("taken over", f"{counted(answer['reused'], 'trial')} of other sweeps")
        if name == "foretold" and answer["learned"]:
            yield _line("fed back", f"{counted(answer['learned'], 'trial')} of a verification")


def _state(answer: StatusAnswer) -> Iterator[str]:
    held_by = answer["held_by"]
    yield _line("state", f"{answer['state']}{f' ({held_by})' if held_by else ''}")


def _lead(answer: StatusAnswer, now: float) -> Iterator[str]:
    """How the region stands with fresh trainings, and the headline."""
    headline, found = answer["headline"], answer["verification"]
    if headline is not None or found is not None:
        yield _line("verification", escaped(standing_words(found)))
    if headline is not None:
        age = _age(answer["answer_as_of"], now)
        yield _line("answer", f"{escaped(headline['text'])}{age}")


def _time_left(answer: StatusAnswer) -> Iterator[str]:
    left = answer["seconds_left"]
    if answer["now"] is not None:
        yield _line("now", answer["now"])
        return
    if not answer["held_by"]:
        return
    if answer["rate"] is None or left is None:
        yield _line("time left", "not known yet")
        return
    yield _line("rate", f"{answer['rate']:.3g} trials/s")
    yield _line("time left", f"{'at most ' * answer['at_most']}{in_units(left)}")


def _with_unit(name: str, value: Any, at_most: bool) -> str:
    if name == "peak_memory":
        return "unknown" if value is None else f"{value / 2**30:.2f} GiB"
    if name == "planned" and at_most:
        return f"{value} at most"
    return str(value)


def _probes(answer: StatusAnswer) -> Iterator[str]:
    for kind, found in answer["studies"].items():
        results = counted(found["found"], "result")
        failed = sum(found["failures"].values())
        yield f"probe {kind:12} {results}, {found['nothing']} not applicable, {failed} failed"
        for cause, count in found["failures"].items():
            yield f"  {count} x {cause}"


def _known(answer: StatusAnswer, now: float) -> Iterator[str]:
    verdict = answer["verdict"]
    ended = answer["state"] == "finished" or answer["now"] is not None
    if verdict is not None:
        name = "verdict" if ended else "verdict so far"
        yield _line(name, f"{_verdict(verdict)}{_age(verdict['as_of'], now)}")
        yield from (_line("panel", told) for told in panel_states(verdict))
    if answer["mirrored"] is not None:
        yield _line("MLflow", f"{answer['mirrored'][0]} of {answer['mirrored'][1]} trials")


def _verdict(verdict: Verdict) -> str:
    if (space := verdict["space"]) is not None:
        parts = ", ".join(f"{100 * share:.3g} % {word}" for word, share in _parts(space))
        return f"of the defence space {parts}"
    left = verdict["not_begun"]
    more = (
        f"; {counted(left, 'point')} more {noun_for(left, 'has', 'have')} not begun" if left else ""
    )
    if verdict["points"] == 0:
        return f"no defence point has been tried{more}"
    points = counted(verdict["points"], "defence point")
    judged = sum(verdict["by_means"].values()) - verdict["by_means"]["INCOMPLETE"]
    if not verdict["threshold_known"] and not judged:
        return f"none of {points} is complete{more}"
    means, bounds, model = (
        ", ".join(f"{count} {word}" for word, count in (counts or {}).items())
        for counts in (verdict["by_means"], verdict["by_bounds"], verdict["by_model"])
    )
    judged_together = f"; by model {model}" if model else ""
    why = "" if verdict["threshold_known"] else "; no best accuracy is known: models are broken"
    return f"of {points} by means {means}; by bounds {bounds}{judged_together}{why}{more}"


def _parts(space: Any) -> Iterator[tuple[str, float]]:
    yield from ((word, space[word]) for word in ("IN", "OUT", "UNDECIDED"))


def _age(written: float | None, now: float) -> str:
    if written is None:
        return ""
    return f" (region.json, written {in_units(max(0.0, now - written))} ago)"


def _next(answer: StatusAnswer) -> str:
    return f"{answer['next']}   ({answer['next_why']})" if answer["next"] else answer["next_why"]
