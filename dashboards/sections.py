"""The parts of a report down to the points: the answer, the operating point, figures, pictures.

Rates are fractions in [0, 1] with three digits; sentences give attack success in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from matplotlib.figure import Figure

from dashboards.figures import (
    accuracy_against_attack,
    has_figures,
    region_map,
    success_against_rate,
    to_svg,
)
from dashboards.model_map import model_map
from dashboards.page import Content, Markup, element, facts, figure, join, paragraph, section, table
from dashboards.results import Picture, Results
from sweeps.records.model_answer import ModelAnswer
from sweeps.records.region_file import AttackEntry, PointEntry

#: What stands where there is no figure.
UNKNOWN = "\N{EN DASH}"


def fraction(value: float | None) -> str:
    """`0.917`, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """`20 %`, never broken over two lines, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def small(*contents: Content) -> Markup:
    """A second line in a cell."""
    return element("small", *contents)


def soft(*contents: Content) -> Markup:
    """A remark under a sentence."""
    return element("p", *contents, class_="soft")


# --- the answer --------------------------------------------------------------------------------


def answer(results: Results) -> Markup:
    """Question and answer, in words and numbers."""
    box = element("div", *_answer_sentences(results), class_="answer")
    return join([element("h1", f"Defence region of {results.name}"), _question(results), box])


def _question(results: Results) -> Markup:
    allowed = percent(results.region["thresholds"]["attack_success"])
    attacks = plural(len(results.attacks), "attack")
    return paragraph(
        f"With which training settings does the model keep clean accuracy {_least(results)} while "
        f"each of the {attacks} of the panel succeeds on at most {allowed} of the triggered test "
        "images?",
    )


def _least(results: Results) -> str:
    clean = results.region["thresholds"]["clean_accuracy"]
    if clean["value"] is None:
        return f"of at least {clean['rule']}"
    least = f"≥ {fraction(clean['value'])}"
    relative = "best" in clean["rule"] and clean["best"] is not None
    return f"{least} ({clean['rule']}; best is {fraction(clean['best'])})" if relative else least


def _answer_sentences(results: Results) -> Iterable[Markup]:
    if model := results.region.get("model"):
        yield from _answer_of_model(model)
        return
    counts, total = results.region["counts"], len(results.points)
    inside, incomplete = counts["by_means"]["IN"], counts["by_means"]["INCOMPLETE"]
    if inside:
        lead = f"{inside} of {total} defence points do so, by their means over seeds."
    elif incomplete == total:
        lead = "Not known yet: no defence point has results for every attack and seed."
    else:
        lead = f"There is no such point: none of {total} meets both conditions by the means."
    yield element("p", element("strong", lead), class_="lead")
    if incomplete and incomplete < total:
        yield paragraph(f"{incomplete} of the {total} lack results and are not judged.")
    if incomplete < total:
        yield from _certainty(results)
    yield from _operating_point_in_short(results) if inside else _nearest(results)


def _answer_of_model(model: ModelAnswer) -> Iterable[Markup]:
    """The answer of a region search: a model of the whole space, and no finished points."""
    lead, *rest = model["text"]
    yield element("p", element("strong", lead), class_="lead")
    yield element("ul", *(element("li", line.strip()) for line in rest if line.strip()))


def _operating_point_in_short(results: Results) -> Iterable[Markup]:
    if (point := results.recommended) is not None:
        yield paragraph(
            "Recommended: ",
            element("strong", point["label"]),
            f", with clean accuracy {fraction(point['clean_accuracy'])} and worst attack success "
            f"{percent(point['attack_success'])}.",
        )


def _certainty(results: Results) -> Iterable[Markup]:
    bounds = results.region["counts"]["by_bounds"]
    confidence = percent(results.region["thresholds"]["confidence"])
    seeds = sorted({point["seeds"] for point in results.points if has_figures(point)})
    if seeds == [1]:
        yield paragraph("One seed a point gives no bounds: no verdict here has a known certainty.")
        return
    undecided = sum(p["by_bounds"] == "UNDECIDED" and has_figures(p) for p in results.points)
    yield paragraph(
        f"With {confidence} confidence per point: {bounds['IN']} IN, {bounds['OUT']} OUT, "
        f"{undecided} undecided.",
    )
    yield soft(
        f"Confidence is by one-sided t-bounds over {' or '.join(map(str, seeds))} seeds. A point "
        "is IN when the bounds of both figures hold for every attack, and OUT when one of them "
        f"fails for one attack. It is not corrected for judging {len(results.points)} points at "
        "once, nor, where a point is OUT, for looking at "
        f"{plural(len(results.attacks), 'attack')}: some of these verdicts may be wrong.",
    )


def _nearest(results: Results) -> Iterable[Markup]:
    judged = [(m, point) for point in results.points if (m := point["margin"]) is not None]
    if judged:
        margin, near = max(judged, key=lambda pair: pair[0])
        yield paragraph(
            f"Nearest is {near['label']}, with clean accuracy {fraction(near['clean_accuracy'])} "
            f"and worst attack success {percent(near['attack_success'])}: it misses a threshold "
            f"by {fraction(-margin)}.",
        )


def plural(count: int, word: str) -> str:
    """`1 point`, `2 points`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


# --- the operating point -----------------------------------------------------------------------


def operating_point(results: Results) -> Markup:
    """The recommended point: what it is, what it gives, what it costs."""
    point, title = results.recommended, "Recommended operating point"
    if point is None:
        return section(title, paragraph("None: no point is inside the region."))
    return section(
        title,
        element("p", element("strong", point["label"]), class_="lead"),
        facts(_point_facts(results, point)),
        element("h3", "All its settings"),
        facts((_setting(name), str(value)) for name, value in point["factors"].items()),
        element("h3", "Under each attack"),
        table(
            "The recommended point under each attack",
            ["attack", "attack success", "clean accuracy", "success on clean models"],
            (_attack_row(results, attack) for attack in point["attacks"]),
        ),
        soft(
            "Means over seeds, then every seed. The last column is how often the clean baseline, "
            "trained on the same data unpoisoned, gives the attacker's answer on the same "
            "triggered images."
        ),
    )


def _setting(name: str) -> Markup:
    return element("code", name.removeprefix("defence."))


def _point_facts(results: Results, point: PointEntry) -> list[tuple[Content, Content]]:
    chosen = results.region["recommended"]
    confidence = percent(results.region["thresholds"]["confidence"])
    basis = {
        "bounds": f"IN with {confidence} confidence (one-sided t-bounds)",
        "means": "IN by the means over seeds only; the bounds leave it undecided",
    }
    clean = fraction(point["clean_accuracy"])
    clean += _span(point["clean_lower"], point["clean_upper"], fraction)
    success = percent(point["attack_success"])
    success += _span(point["success_lower"], point["success_upper"], percent)
    found: list[tuple[Content, Content]] = [
        ("Clean accuracy", clean),
        ("Worst attack", f"{attack_label(results, point['worst_attack'])}: succeeds on {success}"),
    ]
    if chosen is not None:
        seeds = f"{point['seeds_passing']} of {point['seeds']} seeds meet both conditions"
        found += [
            ("Basis", f"{basis[chosen['basis']]}; {seeds}"),
            ("Margin", f"{fraction(chosen['margin'])} to the nearer threshold"),
        ]
    return [*found, ("Accuracy given up", _cost(results, point))]


def _cost(results: Results, point: PointEntry) -> str:
    best, accuracy = results.best, point["clean_accuracy"]
    if best is None or accuracy is None:
        return "not known"
    if best["defence_id"] == point["defence_id"]:
        return "none: it is the point most accurate on validation images"
    if best["clean_accuracy"] is None:  # its trials were stopped early; the baseline stands in
        highest = results.region["thresholds"]["clean_accuracy"]["best"]
        given_up = 0.0 if highest is None else max(highest - accuracy, 0.0)
        return (
            f"{fraction(given_up)} against the clean baseline "
            f"({fraction(highest)}) of the point most accurate on validation images, "
            f"{best['label']}, whose other trials were stopped early"
        )
    given_up = max(best["clean_accuracy"] - accuracy, 0.0)
    return (
        f"{fraction(given_up)} against the point most accurate on validation images, "
        f"{best['label']} ({fraction(best['clean_accuracy'])}), where the worst attack succeeds on "
        f"{percent(best['attack_success'])}"
    )


def _span(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    """One-sided bounds in words, nothing where there are none."""
    return "" if low is None or high is None else f" (bounds {write(low)} and {write(high)})"


def attack_label(results: Results, attack_id: str | None) -> str:
    """The label of an attack of the panel, its rate never broken over two lines."""
    attack = results.attacks.get(attack_id or "")
    label = UNKNOWN if attack is None else attack["label"]
    return label.replace(" %", "\N{NO-BREAK SPACE}%")


def _attack_row(results: Results, attack: AttackEntry) -> list[Content]:
    return [
        attack_label(results, attack["attack_id"]),
        join([fraction(attack["attack_success"]), small(seeds(attack["success_by_seed"]))]),
        join([fraction(attack["clean_accuracy"]), small(seeds(attack["clean_by_seed"]))]),
        fraction(attack["baseline_success"]),
    ]


def seeds(by_seed: dict[str, float]) -> str:
    """Every seed's rate, in the order of the seeds."""
    ordered = sorted(by_seed.items(), key=lambda item: int(item[0]))
    return "  ".join(fraction(value) for _, value in ordered)


# --- figures and pictures ----------------------------------------------------------------------


def figures(results: Results) -> Markup:
    """The three figures, each with what it shows; before them the map of a region search."""
    drawn = model_map(results.region) if results.region.get("model") else None
    if drawn is None:
        return _point_figures(results)
    # Such a search completes few points, if any: without one their figures would be empty.
    complete = any(has_figures(point) for point in results.points)
    return join([_model_figure(drawn), *([_point_figures(results)] if complete else [])])


def _model_figure(drawn: Figure) -> Markup:
    caption = (
        "A panel a combination of the factors that have no order, over the two numeric factors "
        "that move the probability most; it is averaged over further ones."
    )
    map_ = figure("Probability of being inside the region", to_svg(drawn, "model"), caption)
    return section("Where the region lies, by the model of the search", map_)


def _point_figures(results: Results) -> Markup:
    return join([_map(results), _accuracy(results), _success(results)])


def _map(results: Results) -> Markup:
    confidence = percent(results.region["thresholds"]["confidence"])
    caption = (
        f"Circles are inside by the means, squares outside; filled ones are certain with "
        f"{confidence} confidence. Clean accuracy is the lowest, attack success the highest "
        "mean over the attacks of the panel. Left of an axis break: zero, which a logarithmic "
        f"scale has no place for, and points without the factor ({UNKNOWN})."
    )
    drawn = figure("Map of the region", to_svg(region_map(results.region), "map"), caption)
    return section("Where the region lies", drawn)


def _accuracy(results: Results) -> Markup:
    hidden = sum(not has_figures(point) for point in results.points)
    left_out = f" {plural(hidden, 'incomplete point')} not shown." if hidden else ""
    caption = (
        "A mark is a defence point. Shaded: both conditions hold. The cross through the "
        f"recommended point spans its one-sided bounds.{left_out}"
    )
    svg = to_svg(accuracy_against_attack(results.region), "accuracy")
    drawn = figure("Clean accuracy against worst attack success", svg, caption)
    return section("Accuracy against attack", drawn)


def _success(results: Results) -> Markup:
    caption = (
        "Lines are means over seeds, dots single seeds. The most accurate point is the one "
        "with the highest validation accuracy. Dashed: how often models trained on clean data "
        "give the attacker's answer."
    )
    svg = to_svg(success_against_rate(results.region), "rate")
    drawn = figure("Attack success against poison rate, by trigger", svg, caption)
    return section("Attack success against poison rate", drawn)


def pictures(results: Results) -> Markup:
    """The same test images clean and with each trigger."""
    if not results.pictures:
        return Markup()
    rows: dict[str, list[Picture]] = {}
    for picture in results.pictures:
        rows.setdefault("clean" if picture.trigger is None else picture.trigger, []).append(picture)
    head: list[Content] = ["", *(f"class {p.class_name}" for p in next(iter(rows.values())))]
    body = ([name, *(_image(picture) for picture in row)] for name, row in rows.items())
    return section(
        "What the attacker does",
        paragraph("Test images, clean and with each trigger of the panel, enlarged."),
        table("Clean and triggered images", head, body),
    )


def _image(picture: Picture) -> Markup:
    if picture.source is None:
        return element("span", "missing")
    words = f"class {picture.class_name}, {picture.trigger or 'clean'}"
    return element("img", src=picture.source, alt=words, class_="pixels")
