"""A verification in words, for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backdoor.wording import counted, noun_for
from sweeps.records.answer_entry import FailingEntry
from sweeps.records.control_text import NOWHERE_AT_ALL
from sweeps.records.success_words import attack_words, excess_words
from sweeps.records.thresholds import MEDIAN
from sweeps.records.verification_file import DrawEntry, VerificationFile
from sweeps.statistics.binomial import fewest_draws
from sweeps.storage.shell import command
from sweeps.verify.answer import EMPTY, NOT_PROVEN, PASSED
from sweeps.verify.regions import BOUNDS, INSIDE, MODEL, PROBABILITY, VERDICT

#: Points with draws that do not pass are listed, up to this many.
LISTED = 10


def unfinished_text(ended: int, planned: int, folder: Path) -> str:
    """Why nothing can be verified where the sweep itself has not ended."""
    return (
        f"Nothing to verify yet: {ended:,} of {counted(planned, 'trial')} of the sweep have ended, "
        "and no defence point is inside the region so far. "
        f"Finish the sweep first: {command('sweeps', 'resume', folder)}"
    )


def next_step(answer: VerificationFile, folder: Path, again: Callable[[int], str]) -> str | None:
    """What to type after a verification that proves nothing; None after another one. again: the
    same command with so many draws."""
    if answer["verdict"] != NOT_PROVEN:
        return None
    inside, more = answer["inside"], command("sweeps", "extend", folder, "--set")
    if inside["passed"] == inside["draws"]:
        needed = fewest_draws(answer["claim"])
        draws = again(max(needed, inside["draws"] + 1))
        return f"Next: all draws pass, but they are too few. Draw more: {draws}"
    easier = " and ".join(f"`{more} {what}`" for what in _missed(answer))
    asks = noun_for(len(_missed(answer)), "asks", "ask")
    return (
        f"Next: `{more} seeds=N` (more seeds than now) judges the points more surely, and {easier} "
        f"{asks} for less, as draws missed that; then verify again."
    )


def _missed(answer: VerificationFile) -> list[str]:
    """What asks for less of the thresholds that draws inside have missed."""
    thresholds = answer["thresholds"]
    least, most = thresholds["clean_accuracy"] or 0.0, thresholds["attack_success"]
    failing = [d for d in answer["draws"] if d["stratum"] == INSIDE and not d["passes"]]
    clean = any(draw["clean_accuracy"] < least for draw in failing)
    success = any(draw.get("excess", draw["attack_success"]) > most for draw in failing)
    found = ["region.clean_accuracy=X (a lower X)"] if clean else []
    return found + (["region.attack_success=X (a higher X)"] if success or not clean else [])


def verification_text(answer: VerificationFile, nowhere: bool = False) -> str:
    """The verdict, the draws that failed, the other parts, reliability, transfer. nowhere: whether
    no attack of the panel takes at any point of the sweep."""
    if answer["verdict"] == EMPTY:
        if answer["region"]["basis"] == VERDICT:
            return (
                "Nothing to verify: no defence point is expected to pass with the required "
                "confidence. --basis probability takes all that is IN."
            )
        if answer["region"]["basis"] == BOUNDS:
            return (
                "Nothing to verify: no defence point is IN by bounds. --basis means takes those "
                "that are IN by means; more seeds make bounds narrower."
            )
        if answer["region"]["basis"] == MODEL:
            return (
                "Nothing to verify: no defence point is IN by model. --basis means takes those "
                "that are IN by means, which is not certain; more seeds make the model more "
                "certain."
            )
        return "Nothing to verify: no defence point is inside the region."
    found = [
        *_verdict(answer, nowhere),
        *_where_failed(answer),
        *_failing(answer),
        "",
        *_parts(answer),
        *_reliability(answer),
    ]
    return "\n".join([*found, *_transfer(answer), "", *_remarks(answer)])


def _verdict(answer: VerificationFile, nowhere: bool) -> list[str]:
    inside, thresholds = answer["inside"], answer["thresholds"]
    word = "Passed:" if answer["verdict"] == PASSED else "Failed, the claim is not proven:"
    if answer["verdict"] == NOT_PROVEN and inside["passed"] == inside["draws"]:
        word = "Too few draws, the claim is not proven:"
    if nowhere and answer["verdict"] == PASSED:
        word = f"Proves nothing about backdoors: {NOWHERE_AT_ALL}."
    seeds, least = len(answer["draws"][0]["seeds"]), thresholds["clean_accuracy"]
    unit = (
        f"points, each judged by the median of {seeds} fresh seeds"
        if answer["target"] == MEDIAN
        else "points, each with one fresh seed"
    )
    return [
        f"{word} {inside['passed']} of {counted(inside['draws'], 'draw')} inside pass. With "
        f"{_percent(answer['confidence'])} confidence at least "
        f"{_percent(inside['lower_bound'])} of such draws pass; {_percent(answer['claim'])} is "
        "claimed.",
        f"Draws are {unit}: clean accuracy >= {least:.3f} "
        f"({thresholds['rule']}), {attack_words(thresholds)} "
        "for every attack of the panel.",
        _drawn_from(answer),
    ]


def _drawn_from(answer: VerificationFile) -> str:
    basis = answer["region"]["basis"]
    if basis == PROBABILITY:
        return "Points were drawn evenly from all of the space that is IN, seeds without repeats."
    if basis == VERDICT:
        return (
            "Points were drawn evenly from the part of IN where draws are expected to pass with at "
            "least the required confidence; the rest of IN counts as border. --basis probability "
            "takes all."
        )
    points = {draw["label"] for draw in answer["draws"] if draw["stratum"] == INSIDE}
    return (
        f"Points were drawn from those tried that are IN by {basis}, with replacement: "
        f"{counted(len(points), 'different one')}. The claim is about such a point with fresh "
        "seeds, not about each of the points."
    )


def _where_failed(answer: VerificationFile) -> list[str]:
    """Conditions on factors at which draws fail; nothing where all pass."""
    inside = answer["inside"]
    if inside["passed"] == inside["draws"] or "failed_where" not in answer:
        return []
    lines = [f"Where it failed: {failing_words(entry)}" for entry in answer["failed_where"]]
    return lines or ["Where it failed: no single factor tells the draws that fail from others."]


def failing_words(entry: FailingEntry) -> str:
    """`weight_decay <= 0.001: 9 of 14 draws, elsewhere 1 of 45`."""
    return (
        f"{entry['condition']}: {entry['failed']} of {counted(entry['draws'], 'draw')}, elsewhere "
        f"{entry['elsewhere_failed']} of {entry['elsewhere_draws']}"
    )


def _failing(answer: VerificationFile) -> list[str]:
    """The points inside of which a draw did not pass, those with most such draws first."""
    points: dict[str, list[DrawEntry]] = {}
    for draw in answer["draws"]:
        if draw["stratum"] == INSIDE:
            points.setdefault(draw["label"], []).append(draw)
    failing = {
        label: [draw for draw in draws if not draw["passes"]] for label, draws in points.items()
    }
    order = sorted((label for label in failing if failing[label]), key=lambda n: -len(failing[n]))
    lines = [_failed(label, failing[label], len(points[label])) for label in order[:LISTED]]
    return lines + [f"  and {len(order) - LISTED} more points"] * (len(order) > LISTED)


def _failed(label: str, draws: list[DrawEntry], drawn: int) -> str:
    worst = max(draws, key=lambda draw: draw.get("excess", draw["attack_success"]))
    lowest = min(draw["clean_accuracy"] for draw in draws)
    return (
        f"  {len(draws)} of {counted(drawn, 'draw')} of {label} fail: "
        f"lowest clean accuracy {lowest:.3f}, "
        f"highest attack success {worst['attack_success']:.3f}{excess_words(worst)} "
        f"({worst['worst_attack']})"
    )


def _parts(answer: VerificationFile) -> list[str]:
    lines = []
    for words, part in {"Near the border": answer["border"], "Outside": answer["outside"]}.items():
        if part["draws"]:
            lines.append(f"{words}: {part['passed']} of {counted(part['draws'], 'draw')} pass.")
        else:
            lines.append(f"{words}: nothing to draw from.")
    return lines


def _reliability(answer: VerificationFile) -> list[str]:
    if answer["reliability"] is None:
        return ["No reliability table: this region has verdicts, not probabilities."]
    lines = ["Reliability: predicted probability of passing, and how many passed"]
    for row in answer["reliability"]:
        if row["draws"]:
            lines.append(
                f"  {row['low']:.2f} to {row['high']:.2f}   predicted {row['predicted']:.2f}   "
                f"observed {row['observed']:.2f}   ({row['passed']} of {row['draws']})"
            )
    return lines


def _transfer(answer: VerificationFile) -> list[str]:
    if not answer["transfer"]:
        return []
    lines = ["", "Attacks outside the panel, about which the region claims nothing (transfer):"]
    lines += [
        f"  {entry['label']}: {entry['passed']} of {counted(entry['draws'], 'draw')} inside pass "
        f"(at least {_percent(entry['lower_bound'])})"
        for entry in answer["transfer"]
    ]
    return lines


def _remarks(answer: VerificationFile) -> list[str]:
    trials = answer["trials"]
    lines = [
        f"Verification {answer['verification_id']}, {counted(trials['finished'], 'training')}."
    ]
    if answer["broken"]:
        lines.append(
            f"{counted(answer['broken'], 'model')} failed, diverged or collapsed; "
            f"{noun_for(answer['broken'], 'it counts', 'they count')} as not passing."
        )
    if answer["earlier"]:
        lines.append(
            f"Other verifications of this sweep: {answer['earlier']}. With enough repetitions, "
            "a verification passes by chance."
        )
    return lines


def _percent(fraction: float | None) -> str:
    return "unknown" if fraction is None else f"{100 * fraction:.1f} %"
