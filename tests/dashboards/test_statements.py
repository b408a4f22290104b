"""The report has no contradiction: each statement on the page is what region.json says."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from made_answers import SEARCHES, STANDINGS, WHENS, answered, in_state, searched, verification
from page_statements import contradictions, statements

from dashboards import report, searched_points, sections
from dashboards.report import report_page
from dashboards.results import Results
from dashboards.where import interval_words

SWEEP: dict[str, Any] = {"command": "sweeps run x", "created": "2026-01-02", "data_fingerprint": "f"}  # fmt: skip


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Drawings take time, and say nothing that is compared here."""
    monkeypatch.setattr(report.sections, "to_svg", lambda *_: "<svg></svg>")
    for name in ("plot_region_map", "plot_accuracy_against_attack", "plot_success_against_rate"):
        monkeypatch.setattr(sections, name, lambda _: None)


def page_of(region: dict[str, Any]) -> str:
    return report_page(Results(region, SWEEP, "", [], []))


@pytest.fixture
def make_answer(make_point, make_region):
    """The answer of a search, as it is then."""

    def make(search: str, when: str) -> dict[str, Any]:
        judged, inside = when != "nothing judged", when != "nothing inside"
        if search == "region":
            points = [make_point(f"p{n}", {"weight_decay": n / 10}, None, 0) for n in range(6)]
            found = searched(make_region(points), when)
        else:
            success = (0.1, 0.19, 0.9, 0.21) if inside else (0.9, 0.9, 0.9, 0.21)
            points = [
                make_point(f"p{n}", {"weight_decay": n / 10}, 0.95 if judged else None, each)
                for n, each in enumerate(success)
            ]
            last = [] if when in ("finished", "nothing inside") else [make_point("p9", {"weight_decay": 0.9}, None, 0)]  # fmt: skip
            found = answered(make_region([*points, *last]))
        return in_state(found, search, when)

    return make


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("search", SEARCHES)
def test_every_statement_is_what_region_json_says(make_answer, undrawn, search, when):
    region = make_answer(search, when)
    before = copy.deepcopy(region)
    page = page_of(region)
    assert contradictions(page, region) == []
    assert region == before
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[:3] == ["Recommended setting", "Verification", "Where the region lies"]


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("search", ["grid", "region"])
def test_verification_leads_the_page_and_has_a_section(make_answer, undrawn, search, standing):
    region = make_answer(search, "finished") | {"verification": verification(standing)}
    page = page_of(region)
    assert contradictions(page, region) == []
    said = statements(page)
    assert said["verification.text"] == [STANDINGS[standing][2]] * 2
    assert page.index("verification.text") < page.index("headline.text")
    offers = {"verified": 0, "failed": 0}
    assert ("sweeps verify" in page) == bool(offers.get(standing, 1))


def test_a_failed_verification_says_where_in_factors(make_answer, undrawn):
    said = statements(page_of(make_answer("grid", "finished") | {"verification": verification("failed")}))  # fmt: skip
    assert said["verification.failed_where.0"] == ["3 of 4"]
    assert (said["verification.passed"], said["verification.draws"]) == (["2"], ["5"])
    assert said["verification.lower_bound"] == ["7.6 %"]


def test_a_setting_that_was_never_tried_has_its_cost_and_limits(make_answer, undrawn):
    """Of before: KeyError, or `None` where the answer recommends one."""
    page = page_of(make_answer("region", "finished"))
    said = statements(page)
    assert said["setting.label"] == ["mlp, weight_decay 0.03384"]
    assert said["setting.cost"] == ["0.034"] and said["setting.inside"] == [">0.99"]
    assert (said["setting.clean_accuracy.lower"], said["setting.clean_accuracy.upper"]) == (["0.898"], ["0.968"])  # fmt: skip
    text = " ".join(said[""])
    assert "expected by the model of the search, not measured" in text
    assert (
        "Withstands, of attacks that are shown to take in this sweep: patch(size=1) at 1 %." in text
    )
    assert (
        "Not shown to be resisted, since they take at no tried point: patch(size=1) at 3 %." in text
    )
    assert "Not certain, by the model, that it withstands: blend at 3 %." in text
    assert said["where.recommended_outside"] == ["The recommended setting lies outside the box: its learning rate is larger."]  # fmt: skip
    assert "architecture is mlp, weight_decay from 0.01 to 0.1, learning_rate x weight_decay ≤ 0.5" in text  # fmt: skip
    assert "worst attack of" not in page and "INCOMPLETE" not in page


def test_trials_are_missing_only_where_the_sweep_was_interrupted(make_answer, undrawn):
    ended, cut = (page_of(make_answer("region", when)) for when in ("finished", "interrupted"))
    assert "have no result" not in ended and "sweeps resume" not in ended
    assert statements(cut)["state.missing"] == ["7"]
    assert "of at most 40 planned trials have no result: the sweep was interrupted." in " ".join(statements(cut)[""])  # fmt: skip
    assert "have no result" not in page_of(make_answer("grid", "running"))


def test_tried_points_of_a_search_are_expected_figures_and_at_most_200(
    make_point, make_region, undrawn
):
    points = [make_point(f"p{n}", {"weight_decay": n}, None, 0) for n in range(230)]
    region = in_state(searched(make_region(points), "finished"), "region", "finished")
    region["points"].reverse()
    page = page_of(region)
    assert contradictions(page, region) == []
    said = statements(page)
    assert said["points.left_out"] == ["30"]
    shown = [key for key in said if re.fullmatch(r"points\.p\d+\.verdict", key)]
    assert len(shown) == searched_points.MOST == 200
    assert shown[:3] == ["points.p0.verdict", "points.p1.verdict", "points.p2.verdict"]
    assert said["points.p0.verdict"] == ["likely IN"] and said["points.p3.verdict"] == ["undecided"]
    assert "not measured, except where it says so" in page
    assert re.search(r"<td>0\.950<small>0\.900 to 0\.970</small></td>", page)


def test_the_strongest_claim_is_bold_and_weaker_counts_are_plain(make_answer, undrawn):
    page = page_of(make_answer("grid", "finished"))
    assert re.search(r"<strong data-says=\"headline.text\">1 of 4 points are certainly IN.</strong>", page)  # fmt: skip
    (count,) = re.findall(r".{40}<span data-says=\"verdicts.points.in_by_means\">", page, re.S)
    assert "strong" not in count


def test_what_an_earlier_file_lacks_is_said(make_answer, undrawn):
    region = make_answer("grid", "finished") | {"lacks": ["This file does not say the front."]}
    assert statements(page_of(region))["lacks"] == ["This file does not say the front."]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.1, "a from 0.01 to 0.1"), (2, None, "a ≥ 2"), (None, 1e-5, "a ≤ 1e-05"), (None, None, "a: any value")],
)  # fmt: skip
def test_intervals_in_words(low, high, words):
    assert interval_words({"factor": "defence.a", "low": low, "high": high}) == words


# --- the comparison itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r["verdicts"]["points"].update(certainly_in=9), "verdicts.points.certainly_in: '1', not '9'"),
        (lambda r: r.update(setting=None), "setting: not said"),
        (lambda r: r["headline"].update(text="All."), "headline.text"),
        (lambda r: r["state"].update(text="running"), "state.text"),
        (lambda r: r["points"][0].update(verdict="likely out"), "p0: verdict ['certainly IN']"),
        (lambda r: r["setting"].update(basis="means"), "not 'IN by means only:'"),
        (lambda r: r["setting"].update(defence_id="p1"), "p0 is marked as recommended"),
        (lambda r: r["verification"].update(text="verified"), "verification.text"),
    ],
)  # fmt: skip
def test_another_region_json_is_a_contradiction(make_answer, undrawn, change, told):
    region = make_answer("grid", "finished")
    page = page_of(region)
    change(region)
    assert any(told in line for line in contradictions(page, region))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2 of 4 defence points do so", "a count of its own"),
        ("<p>None</p>", "'None', but a setting is recommended"),
        ("<code>sweeps resume</code>", "but nothing is missing"),
    ],
)
def test_a_second_word_on_the_same_is_a_contradiction(make_answer, undrawn, text, told):
    region = make_answer("grid", "finished")
    page = page_of(region).replace("</main>", f"<p>{text}</p></main>")
    assert any(told in line for line in contradictions(page, region))


def test_the_setting_says_how_many_new_seeds_may_miss(make_answer, undrawn):
    """Beside the limits of clean accuracy, of the worst attack and of each attack; not where it is
    rare, unknown, or where there are no limits."""
    region = make_answer("grid", "finished")
    setting = region["setting"]
    rates = {"clean_accuracy": setting["clean_accuracy"], "attack_success": setting["attack_success"]}  # fmt: skip
    rates |= {f"attacks.{n}": each["attack_success"] for n, each in enumerate(setting["attacks"])}
    for rate in rates.values():
        rate["chance_to_miss"] = 0.1631
    said = statements(page_of(region))
    words = "about 16 % of new seeds miss the threshold"
    assert {key: said[f"setting.{key}.chance_to_miss"] for key in rates} == {key: [words] for key in rates}  # fmt: skip
    assert f"with 95 % confidence, {words})" in " ".join(re.sub(r"<[^>]*>", "", page_of(region)).replace("\N{NO-BREAK SPACE}", " ").split())  # fmt: skip
    rare, unknown, bare, *_ = rates.values()
    rare["chance_to_miss"], unknown["chance_to_miss"] = 0.004, None
    bare["lower"] = bare["upper"] = None
    page = page_of(region)
    told = {key for key in statements(page) if key.endswith("chance_to_miss")}
    assert told == {f"setting.{key}.chance_to_miss" for key in [*rates][3:]}
    assert contradictions(page, region) == []
