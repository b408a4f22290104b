"""What a report says of the answer, read from the page, and where region.json says otherwise.

`contradictions(page, region)` is for the report of any sweep, made by hand or really run.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "br", "hr"}
#: Their text is no statement: drawings, the spec, and styles.
SILENT = {"svg", "pre", "style", "title"}
#: In plain text these would be a second word on what only one key may say.
COUNTS = re.compile(r"\b\d[\d,]* of (?:at most )?\d[\d,]* (?:defence |tried )?points\b")
RESUME = re.compile(r"sweeps resume|have no result|interrupted")
CHOSEN = re.compile(r"(?i)\brecommended (?:point|operating point|setting)\b")


class _Reader(HTMLParser):
    """Texts by the key in `data-says` that they stand in, and those that stand in none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.said: dict[str, list[str]] = {}
        self.plain: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        key = dict(attrs).get("data-says")
        if key is not None:
            self.said.setdefault(key, []).append("")
        if tag not in VOID:
            self.open.append((tag, key))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any(tag in SILENT for tag, _ in self.open):
            return
        keys = [key for _, key in self.open if key is not None]
        for key in keys:
            self.said[key][-1] += data
        if not keys:
            heading = any(tag in ("h1", "h2", "h3", "th") for tag, _ in self.open)
            self.plain.append("\n" if heading else data)


def statements(page: str) -> dict[str, list[str]]:
    """Path in region.json to everything that the page says of it, in order, in one line each.

    The key "" has the text that belongs to no key.
    """
    reader = _Reader(page)
    found = {key: [_line(text) for text in texts] for key, texts in reader.said.items()}
    return found | {"": [_line(text) for text in "".join(reader.plain).split("\n\n")]}


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " ")).strip()


# --- what region.json makes them -----------------------------------------------------------------


def _fraction(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _chance(value: float) -> str:
    return ">0.99" if value > 0.995 else "<0.01" if value < 0.005 else f"{value:.2f}"


BASES = {"bounds": "certainly IN:", "model": "likely IN:", "means": "IN by means only:"}


def expected(region: dict[str, Any]) -> dict[str, str]:
    """Path to what must stand there, and must stand there at least once."""
    points, space = region["verdicts"]["points"], region["verdicts"]["space"]
    found = {
        "headline.text": region["headline"]["text"],
        "question.text": region["question"]["text"],
        "state.text": region["state"]["text"],
        "verification.text": region["verification"]["text"],
    }
    # Means are said of points that are meant to be complete; the total beside them.
    silent = {"total", "in_by_means"} if "model" in region or not points["total"] else set()
    found |= {f"verdicts.points.{key}": str(n) for key, n in points.items() if key not in silent}
    found |= {f"verdicts.space.{key}": _percent(share) for key, share in (space or {}).items()}
    found |= _of_setting(region) | _of_verification(region["verification"])
    for key in ("box", "rule"):
        if (one := region["where"][key]) is not None:
            found |= {f"where.{key}.{name}": _percent(one[name]) for name in ("precision", "coverage")}  # fmt: skip
    if any(region["where"][key] for key in ("box", "rule")) and (
        why := region["where"]["recommended_outside"]
    ):
        found["where.recommended_outside"] = why
    worst = [p["worst_attack"] for p in region["points"] if p["worst_attack"] is not None]
    judged = f"{len(worst)} point{'' if len(worst) == 1 else 's'}"
    for number, attack in enumerate(region["panel"] if worst else []):
        found[f"panel.{number}.worst_of"] = f"{worst.count(attack['attack_id'])} of {judged}"
    for key in ("limiting", "front"):
        found |= {f"{key}.{n}": _percent(one["share"]) for n, one in enumerate(region[key])}
    return {key: _line(text) for key, text in found.items()} | _of_missing(region["state"])


def _of_setting(region: dict[str, Any]) -> dict[str, str]:
    setting = region["setting"]
    if setting is None:
        unknown = region["headline"]["claim"] == "unknown"
        return {"setting": "None yet: no point has been judged." if unknown
                else "None: no point is inside by any verdict."}  # fmt: skip
    found = {"setting.label": setting["label"], "setting.margin": _fraction(setting["margin"]),
             "setting.worst_attack": setting["worst_attack"]}  # fmt: skip
    for key in ("clean_accuracy", "attack_success"):
        for name in ("value", "lower", "upper"):
            if (value := setting[key][name]) is not None:
                found[f"setting.{key}.{name}"] = _fraction(value)
        found |= _chance_to_miss(f"setting.{key}", setting[key])
    if setting["inside"] is not None:
        found["setting.inside"] = _chance(setting["inside"])
    if setting["cost"] is None:
        found["setting.cost"] = "not known: no most accurate point is known"
    else:
        found["setting.cost"] = "none" if setting["cost"] <= 0 else _fraction(setting["cost"])
        found["setting.best_accuracy"] = _fraction(setting["best_accuracy"])
    takes = {"takes": "yes", "nowhere": "nowhere"}
    for number, attack in enumerate(setting["attacks"]):
        key = f"setting.attacks.{number}"
        found |= {f"{key}.value": _fraction(attack["attack_success"]["value"]),
                  f"{key}.passes": "yes" if attack["passes"] else "no",
                  f"{key}.takes": takes.get(attack["takes"], "not known")}  # fmt: skip
        found |= _chance_to_miss(key, attack["attack_success"])
    return found


def _chance_to_miss(key: str, rate: dict[str, Any]) -> dict[str, str]:
    """Nothing where it is rare, not known, or stands beside no limits."""
    chance = rate.get("chance_to_miss")
    if chance is None or chance < 0.005 or rate["lower"] is None:
        return {}
    share = f"about {100 * chance:.2g} % of" if chance < 0.995 else "almost all"
    return {f"{key}.chance_to_miss": f"{share} new seeds miss the threshold"}


def _of_verification(entry: dict[str, Any]) -> dict[str, str]:
    if entry["verification_id"] is None or not entry["draws"]:
        return {}
    found = {key: str(entry[key]) for key in ("draws", "passed")}
    if entry["lower_bound"] is not None:
        found["lower_bound"] = _percent(entry["lower_bound"])
    if entry["stale_because"]:
        found["stale_because"] = entry["stale_because"]
    for number, one in enumerate(entry["failed_where"]):
        found[f"failed_where.{number}"] = f"{one['failed']} of {one['draws']}"
    if entry["earlier"]:
        found["earlier"] = str(entry["earlier"])
    return {f"verification.{key}": text for key, text in found.items()}


def _of_missing(state: dict[str, Any]) -> dict[str, str]:
    planned = state["planned"]
    missing = 0 if planned is None else planned - state["ended"] - state["failed"]
    return {"state.missing": str(missing)} if missing > 0 and _interrupted(state) else {}


def _interrupted(state: dict[str, Any]) -> bool:
    return state["state"] == "stopped" and not state["why"]


# --- both together -------------------------------------------------------------------------------


def contradictions(page: str, region: dict[str, Any]) -> list[str]:
    """Where the page says something else than region.json, or says it twice, or leaves it out."""
    said, due = statements(page), expected(region)
    wrong = [f"{key}: not said, should be {text!r}" for key, text in due.items() if key not in said]  # fmt: skip
    for key, text in due.items():
        wrong += [f"{key}: {own!r}, not {text!r}" for own in said.get(key, []) if own != text]
    return [*wrong, *_unwanted(said, due), *_basis(said, region), *_of_points(said, region),
            *_in_plain_text(said[""], region)]  # fmt: skip


#: Parts of the page whose every figure must be one that region.json has.
STRICT = (
    "setting",
    "verdicts.",
    "verification.",
    "state.",
    "where.",
    "limiting.",
    "front.",
    "panel.",
)


def _unwanted(said: dict[str, list[str]], due: dict[str, str]) -> list[str]:
    free = {"setting.basis", "verdicts.points.total"}
    return [
        f"{key}: {said[key]}, but region.json says nothing of it"
        for key in said
        if key.startswith(STRICT) and key not in due and key not in free
    ]


def _basis(said: dict[str, list[str]], region: dict[str, Any]) -> list[str]:
    setting, told = region["setting"], said.get("setting.basis", [])
    if setting is None:
        return [f"a basis {told} of no setting"] if told else []
    start = BASES[setting["basis"]]
    return [] if len(told) == 1 and told[0].startswith(start) else [f"basis {told}, not {start!r}"]


def _of_points(said: dict[str, list[str]], region: dict[str, Any]) -> list[str]:
    """Rows of points: their verdicts, and which is marked as recommended."""
    points = {point["defence_id"]: point for point in region["points"]}
    chosen = region["setting"] and region["setting"]["defence_id"]
    wrong, shown = [], set()
    for key, texts in said.items():
        part, _, rest = key.partition(".")
        name, _, what = rest.rpartition(".")
        if part != "points" or not name:
            continue
        shown.add(name)
        if what == "recommended" and name != chosen:
            wrong.append(f"{name} is marked as recommended")
        if what == "verdict" and texts != [_verdict_words(points[name].get("verdict"))]:
            wrong.append(f"{name}: verdict {texts}")
    total = said.get("verdicts.points.total", [])
    wrong += [f"{own} points in all, not {len(points)}" for own in total if own != str(len(points))]
    left_out = int(said.get("points.left_out", ["0"])[0])
    if len(shown) + left_out != len(points):
        wrong.append(f"{len(shown)} rows and {left_out} left out, but {len(points)} points")
    marked = chosen in shown and f"points.{chosen}.recommended" not in said
    return [*wrong, *(["the recommended point is not marked in the table"] if marked else [])]


def _verdict_words(verdict: str | None) -> str:
    words = verdict or "\N{EN DASH}"
    return words.replace(" in", " IN").replace(" out", " OUT")


def _in_plain_text(texts: list[str], region: dict[str, Any]) -> list[str]:
    text = " ".join(texts)
    wrong = [f"a count of its own: {found!r}" for found in COUNTS.findall(text)]
    if region["setting"] is None:
        wrong += [f"{found!r}, but none is recommended" for found in CHOSEN.findall(text)]
    elif "None" in text.split():
        wrong.append("'None', but a setting is recommended")
    failed = region["state"]["failed"] or region["trials"]["failed"]
    by_rule = bool(region["state"]["why"]) or region["state"]["state"] == "running"
    if not _interrupted(region["state"]) and (by_rule or not failed):
        wrong += [f"{found!r}, but nothing is missing" for found in RESUME.findall(text)]
    return wrong
