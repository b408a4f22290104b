"""The description of an experiment: ours is brought up to date, a person's is left alone.

MLflow keeps it as a tag, whose latest writer nobody knows. So a tag beside it remembers digests of
what we wrote last; a description that has another digest is a person's. Ours then goes to a tag of
its own; who wants it back copies that text into the description.
"""

from __future__ import annotations

from collections.abc import Mapping

from backdoor.settings.digest import digest

#: MLflow's tag of the description; ours of what we wrote there; ours of the answer where the
#: description is a person's.
NOTE, STATE, ANSWER = "mlflow.note.content", "answer_state", "answer"


def kept_apart(
    known: Mapping[str, str], tags: Mapping[str, str], made: str | None
) -> dict[str, str]:
    """`tags` as they may be set, in this order, where the experiment has those of `known`. made:
    the description that an experiment is made with."""
    ours, present = tags.get(NOTE), known.get(NOTE)
    if ours is None:
        return dict(tags)
    others = {key: value for key, value in tags.items() if key != NOTE}
    if ANSWER in known:
        others[ANSWER] = ours
    state = known.get(STATE, "")
    if present is None or present == ours:
        found = state if _digest(ours) in state.split() else _digest(ours)
        return {**others, STATE: found, NOTE: ours}
    if present in (made, known.get(ANSWER)) or _digest(present) in state.split():
        # Both digests: whoever is interrupted between the two tags leaves one of these texts.
        return {**others, STATE: f"{_digest(ours)} {_digest(present)}", NOTE: ours}
    return {**others, ANSWER: ours}


def _digest(text: str) -> str:
    return digest("description", text)
