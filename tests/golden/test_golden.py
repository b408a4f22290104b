"""What users see is what it was at commit 5634bd7: ids, counts, answers, reports, searches.

The golden files beside this one say what that commit answered (`make_golden`). Where processor and
libraries are those of the record, counts and figures have to be the same; on another machine
trainings may answer up to 2 % of a total otherwise, and what a search learns from figures is not
compared beyond its beginning. `test_which_rule_applies` says which of the two it is: it is skipped,
and names the differences, on another machine. Imports of the project stand in `golden_answers`.
"""

from __future__ import annotations

import copy
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import golden_answer  # noqa: E402
import golden_answers as answers  # noqa: E402
from golden_cases import COUNTED, FOLDERS, KEPT, MIRRORED, SEARCHES, identity_documents  # noqa: E402
from golden_changed import changed_drawings, changed_lines, changed_region  # noqa: E402
from golden_compare import differences, refuse_differences, row_differences  # noqa: E402
from golden_failures import without_failures, without_incidents  # noqa: E402
from golden_figures import (  # noqa: E402
    BOUNDS,
    RESUMED,
    RULES,
    changes,
    folders_of_the_list,
    run_with_figures_of_today,
    students_limits,
)
from golden_page import page_differences  # noqa: E402
from golden_reworded import (  # noqa: E402
    ADDED_SPECS,
    in_words_of_today,
    record_without_added,
    without_added,
)
from golden_said import words_differences  # noqa: E402

NAMES = list(FOLDERS)
FINISHED = [name for name in NAMES if name not in KEPT]
#: Parts of a region's answer that come from a fitted model.
LEARNED = ("model", "recommended")


@pytest.fixture(scope="module", autouse=True)
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, and a cache of decoded data of its own."""
    with answers.steady():
        os.environ["BACKDOOR_CACHE"] = str(tmp_path_factory.mktemp("golden") / "cache")
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that cases name."""
    return answers.make_files(tmp_path_factory.mktemp("golden") / "files")


_READ: dict[str, Any] = {}


def recorded(name: str) -> Any:
    """A golden file: its commit, its machine and its answers, texts worded as they are today."""
    if name not in _READ:
        _READ[name] = in_words_of_today(answers.read_golden(HERE / f"{name}.json.xz"))
    return _READ[name]


@pytest.fixture(scope="module")
def exact() -> bool:
    """Whether this is the recorded machine."""
    return not list(differences(recorded("counts")["machine"], answers.signature()))


def rule(exact: bool) -> str:
    """The rule of comparison in words."""
    return "exactly: this is the recorded machine" if exact else "as of another machine"


def same(expected: Any, actual: Any, what: str, how: str = "exactly") -> None:
    """Fails with the first differences where there are some."""
    refuse_differences(differences(expected, actual), what, how)


# --- what is compared --------------------------------------------------------------------------


def test_which_rule_applies(exact: bool) -> None:
    """Passes on the recorded machine; elsewhere it is skipped and says what is different."""
    machine = recorded("counts")["machine"]
    if not exact:
        found = "; ".join(differences(machine, answers.signature(), "machine"))
        pytest.skip(f"another machine, where counts may differ by 2 % of their totals: {found}")


def test_all_files_are_of_one_record() -> None:
    """One commit, one machine, and answers for every folder."""
    names = ["ids", "counts", "searches", "words", "folders", "mirror"]
    for name in names:
        head = {key: recorded(name)[key] for key in ("commit", "machine")}
        assert head["commit"].startswith("5634bd7"), name
        same(recorded("ids")["machine"], head["machine"], f"the machine of {name}")
    assert {file.name for file in HERE.glob("*.json.xz")} == {f"{name}.json.xz" for name in names}
    assert list(recorded("folders")["answers"]) == NAMES
    assert {folder.name for folder in (HERE / "folders").iterdir() if folder.is_dir()} == set(NAMES)


# --- identities --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(files: Path) -> dict[str, Any]:
    """Today's ids by case."""
    return answers.identities(files)


@pytest.mark.parametrize("case", [*identity_documents(), "numbers", "changed by --set"])
def test_ids_and_canonical_forms(case: str, named: dict[str, Any]) -> None:
    """Trials, defence points, attacks and measures have the names that they had, in order."""
    same(recorded("ids")["answers"]["cases"][case], named[case], f"ids of {case}")


#: Rule: a reflection that may be out of focus has its fall-off over the image, which is named.
BLURRED = ("mixed", "out_of_focus")


@pytest.mark.parametrize(
    ("case", "renamed"), [("triggers", 6), ("plain triggers", 1), ("files", 2)]
)
def test_only_blurred_reflections_have_new_ids(
    case: str, renamed: int, named: dict[str, Any], files: Path
) -> None:
    """With the defaults of today, all other trials and measures are named as in the record."""
    before, now = named[case], answers.named_today(case, files)
    changed = 0
    for one, other in zip(before["trials"], now["trials"], strict=True):
        trigger = (one["config"]["attack"] or {}).get("trigger", {})
        blurred = trigger.get("kind") == "reflection" and trigger["effect"] in BLURRED
        expected = {**one, "config": copy.deepcopy(one["config"])}
        if blurred:
            expected["config"]["attack"]["trigger"]["falloff"] = "image"
            assert other["trial_id"] != one["trial_id"]
            assert other["attack_id"] != one["attack_id"]
            expected |= {key: other[key] for key in ("trial_id", "attack_id")}
            changed += 1
        same(expected, other, f"a trial of {case}")
    assert changed == renamed == len(set(now["measures"]) - set(before["measures"]))


def test_as_many_configurations_as_there_were(named: dict[str, Any]) -> None:
    """No case is lost, and there are hundreds of distinct trials."""
    assert set(named) == set(recorded("ids")["answers"]["cases"])
    trials = {t["trial_id"] for case in named.values() for t in case["trials"]}
    assert len(trials) >= 500


def test_ids_of_probes() -> None:
    same(recorded("ids")["answers"]["probes"], answers.probe_identities(), "ids of probes")


def test_ids_of_bundled_specs() -> None:
    now = {name: of for name, of in answers.bundled().items() if name not in ADDED_SPECS}
    same(recorded("ids")["answers"]["bundled"], now, "ids of bundled specs")


# --- trainings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", COUNTED)
def test_counts_of_small_trainings(case: str, files: Path, tmp_path: Path, exact: bool) -> None:
    """Every result column of the ledger, and what probes find."""
    expected = recorded("counts")["answers"][case]
    actual = answers.counts(case, files, tmp_path / "ledger")
    what = f"what comes of the trainings of {case}"
    one = {row["trial_id"]: row for row in expected["rows"]}
    other = {row["trial_id"]: row for row in actual["rows"]}
    same(list(one), list(other), f"the list of trials of {case}")
    found = (line for name in one for line in row_differences(one[name], other[name], exact))
    refuse_differences(found, what, rule(exact))
    if exact:
        told = differences(expected["studies"], actual["studies"], "studies", 1e-6)
    else:
        told = differences(_outcomes(expected), _outcomes(actual), "studies")
    refuse_differences(told, f"what probes find on the models of {case}", rule(exact))


def _outcomes(found: dict[str, Any]) -> list[Any]:
    """Of studies what is the same on every machine."""
    return [
        {**study, "columns": {name: len(values) for name, values in study["columns"].items()}}
        for study in found["studies"]
    ]


# --- searches ----------------------------------------------------------------------------------

#: Proposals that come before anything has been learned; none of the others is a model's.
BLIND = {"region": 12, "region share": 6, "tpe": 12, "nsga2": 8}


@pytest.mark.parametrize("name", SEARCHES)
def test_proposals(name: str, exact: bool) -> None:
    """The trials that a search proposes, in order, where trainings answer by a formula."""
    expected, actual = recorded("searches")["answers"]["proposals"][name], answers.proposals(name)
    if not exact and name in BLIND:
        assert len(actual) <= len(expected) + 1
        expected, actual = expected[: BLIND[name]], actual[: BLIND[name]]
    same(expected, actual, f"what the search {name} proposes", rule(exact))


def test_proposals_of_the_sampler_for_plain_optuna(exact: bool) -> None:
    expected, actual = recorded("searches")["answers"]["sampler"], answers.sampler_proposals()
    if not exact:
        expected, actual = expected[:8], actual[:8]
    same(expected, actual, "what the sampler proposes", rule(exact))


# --- what people read --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """Today's help, lists and checks, as far as commands of the record are concerned."""
    return without_added(answers.words())


def test_the_same_commands_have_help(told: dict[str, str]) -> None:
    assert list(told) == list(recorded("words")["answers"]["texts"])


@pytest.mark.parametrize("name", recorded("words")["answers"]["texts"])
def test_help_lists_and_checks(name: str, told: dict[str, str]) -> None:
    """Word for word."""
    golden = recorded("words")["answers"]
    python = ".".join(map(str, sys.version_info[:2]))
    if "help" in name and python != golden["python"]:
        pytest.skip(f"help is laid out by Python {golden['python']}, and this is {python}")
    same(golden["texts"][name], told[name], f"the text of {name}")


# --- results folders ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a copy of a recorded folder for reading, one a name."""
    home, made = tmp_path_factory.mktemp("opened"), dict[str, Path]()

    def open_one(name: str) -> Path:
        if name not in made:
            made[name] = answers.opened(name, home / name)
        return made[name]

    return open_one


@pytest.mark.parametrize("name", NAMES)
def test_the_record_of_a_folder(name: str, opened: Callable[[str], Path]) -> None:
    """`status`, `show`, `export` and `load_results`, which do no more than read."""
    expected = recorded("folders")["answers"][name]["record"]
    actual = without_failures(answers.record_answers(opened(name)))
    same(expected, record_without_added(actual), f"folder {name}: its record")


@pytest.mark.parametrize("name", NAMES)
def test_the_region_of_a_folder(name: str, opened: Callable[[str], Path], exact: bool) -> None:
    """`region --json`, region.json and `region` in words."""
    golden = recorded("folders")["answers"][name]
    actual = answers.region_answers(opened(name))
    expected = changed_region(name, golden["region"])
    judged(expected, actual["region"], f"folder {name}: its region", exact)
    assert answers.region_file(opened(name)) == actual["region"]
    if exact or name != "region":
        answer = golden_answer.answer_differences(expected, actual["answer"])
        refuse_differences(answer, f"folder {name}: its answer", "by what it follows from")
        words = changed_lines(name, golden["words"].splitlines(), golden["region"])
        said(words, actual["words"], actual["answer"], f"folder {name}: its region in words")


def said(recorded: list[str], words: str, region: dict[str, Any], what: str) -> None:
    """Fails where a region in words has other figures than recorded."""
    refuse_differences(words_differences(recorded, words, region), what, "by its figures")


def shown(recorded: list[str], page: list[str], region: dict[str, Any], what: str) -> None:
    """Fails where a page has other figures than recorded, or from its map on other lines."""
    refuse_differences(page_differences(recorded, page, region), what, "by its figures")


def judged(expected: Any, actual: Any, what: str, exact: bool) -> None:
    """Compares regions, on another machine without what a model says of a search's region."""
    if not exact and expected.get("model"):
        expected, actual = (
            {k: v for k, v in region.items() if k not in LEARNED} for region in (expected, actual)
        )
    same(expected, actual, what, rule(exact))


def test_figures_that_changed_are_listed_with_their_rules() -> None:
    """So many by each rule; that nothing else differs is what the tests of regions say."""
    listed = {name: Counter(c["rule"] for c in changes(name)) for name in folders_of_the_list()}
    assert listed == {
        "grid": {"mean": 8, "rates": 8},
        "tpe": {"tie": 1},
        "region": {"setting": 1},
        "probes": {"mean": 7, "rates": 9, "verdict": 3},
        "points": {"mean": 11, "rates": 13},
        "unfinished": {"collapsed": 5, "mean": 1, "rates": 1},
        "unfinished, resumed": {"mean": 7, "rates": 11, "verdict": 3},
    }
    assert set().union(*listed.values()) == set(RULES)
    verdicts = [
        (name, c["point"][:8], c["before"], c["now"])
        for name in listed
        for c in changes(name)
        if c["figure"] == "by_bounds"
    ]
    assert verdicts == [
        ("probes", "749e1df6", "OUT", "UNDECIDED"),
        ("unfinished, resumed", "b1b47420", "OUT", "UNDECIDED"),
    ]


def test_the_setting_of_a_region_search_is_the_one_its_model_recommended(exact: bool) -> None:
    """The recorded region had it in `model` alone: its id and its margin follow from that."""
    region = recorded("folders")["answers"]["region"]["region"]
    (change,) = changes("region")
    now = changed_region("region", region)["recommended"]
    model, allowed = region["model"], region["thresholds"]["attack_success"]
    setting = model["recommended"]
    above = setting["clean_accuracy"]["expected"] - model["clean_accuracy"]
    below = allowed - setting["attack_success"]["expected"]
    assert (change["figure"], now["basis"]) == ("recommended", "model")
    assert now["margin"] == pytest.approx(min(above, below), abs=1e-9)
    assert now["defence_id"] == answers.defence_id_of(FOLDERS["region"], setting["defence"])


BOUNDED = [name for name in folders_of_the_list() if name not in ("tpe", "region")]


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_that_changed_are_never_inside_students_interval(name: str) -> None:
    """Those of the rule `rates` are its limits, calculated here from counts; others are wider."""
    golden = recorded("folders")["answers"][name.removesuffix(RESUMED)]
    whole = golden["resumed"] if name.endswith(RESUMED) else golden
    rows = whole.get("results") or answers.results(HERE / "folders" / name / "ledger")
    region = changed_region(name, whole["region"])
    confidence = region["thresholds"]["confidence"]
    points = {p["defence_id"]: p for p in region["points"]}
    for change in (c for c in changes(name) if c["figure"] in BOUNDS):
        point, figure = points[change["point"]], change["figure"]
        limit = students_limits(point, rows, confidence)[figure]
        outside = (limit - point[figure]) * (1 if figure.endswith("lower") else -1)
        assert (
            outside == pytest.approx(0, abs=1e-9) if change["rule"] == "rates" else outside > 1e-4
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_report_of_a_folder(name: str, opened: Callable[[str], Path], exact: bool) -> None:
    """The text of the page, and the texts in its drawings."""
    golden = recorded("folders")["answers"][name]
    expected = golden["report"]
    region = answers.region_answers(opened(name))["answer"]
    actual = answers.report_answers(opened(name))
    if not exact and name == "region":
        pytest.skip(
            "a region search's report tells what its model says, and this is another machine"
        )
    text = changed_lines(name, expected["text"], golden["region"])
    shown(text, actual["text"], region, f"folder {name}: the text of its report")
    if answers.drawn_by() == expected["drawn by"]:
        drawn = changed_drawings(name, expected["drawings"])
        same(drawn, actual["drawings"], f"folder {name}: the texts in drawings")


@pytest.mark.parametrize("name", NAMES)
def test_the_analyses_of_a_folder(name: str, opened: Callable[[str], Path]) -> None:
    """`sweeps probe SUBJECT`, in JSON and in words."""
    expected = recorded("folders")["answers"][name]["subjects"]
    same(expected, answers.subject_answers(opened(name)), f"folder {name}: `sweeps probe`")


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_run_again(name: str, tmp_path: Path, exact: bool) -> None:
    """The command trains what the folder holds, says the same, and leaves the same files."""
    golden = recorded("folders")["answers"][name]
    actual = answers.run_answers(FOLDERS[name], tmp_path / name)
    results, region = actual.pop("results"), actual.pop("region")
    actual["files"] = without_incidents(tmp_path / name, actual["files"])
    same(golden["run"], actual, f"sweep {name}: what lies in its folder")
    whole = golden.get("resumed") or {
        "results": answers.results(HERE / "folders" / name / "ledger"),
        "region": golden["region"],
    }
    one = {row["trial_id"]: row for row in whole["results"]}
    other = {row["trial_id"]: row for row in answers.plain(results)}
    learns = FOLDERS[name].get("search", {}).get("kind") in ("region", "optuna")
    if not exact and (learns or "stopping" in FOLDERS[name]):
        assert len(other) == len(one)  # which trials there are depends on figures
        return
    same(sorted(one), sorted(other), f"sweep {name}: its trials", rule(exact))
    found = (line for key in one for line in row_differences(one[key], other[key], exact))
    refuse_differences(found, f"sweep {name}: what comes of its trials", rule(exact))
    if exact:
        expected = changed_region(name + RESUMED * (name in KEPT), whole["region"])
        same(expected, region, f"sweep {name}: its region", rule(exact))


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_folder_is_resumed_without_training(
    name: str, tmp_path: Path, exact: bool
) -> None:
    """Nothing is trained, nothing is recorded, and what is said is what was said."""
    golden = recorded("folders")["answers"][name]
    actual = answers.resume_answers(answers.untracked(answers.opened(name, tmp_path / name)))
    assert (actual["code"], actual["trained"], actual["kept"]) == (0, 0, True)
    expected = changed_region(name, golden["region"])
    judged(expected, actual["region"], f"folder {name}, resumed: its region", exact)
    if exact or name != "region":
        words = changed_lines(name, golden["words"].splitlines(), golden["region"])
        said(words, actual["out"], actual["answer"], f"folder {name}: what `resume` says")
        text, page = (
            changed_lines(name, golden["report"]["text"], golden["region"]),
            actual["report"],
        )
        shown(text, page["text"], actual["answer"], f"folder {name}, resumed: its report")


@pytest.mark.parametrize("name", KEPT)
def test_an_interrupted_folder_is_resumed_to_the_whole(
    name: str, tmp_path: Path, exact: bool
) -> None:
    """What is recorded stays, the rest is trained, and all of it is as of an undisturbed sweep."""
    golden = recorded("folders")["answers"][name]["resumed"]
    actual = answers.resume_answers(answers.untracked(answers.opened(name, tmp_path / name)))
    assert (actual["code"], actual["kept"]) == (0, True)
    assert actual["trained"] == len(golden["results"]) - KEPT[name] > 0
    one = {row["trial_id"]: row for row in golden["results"]}
    other = {row["trial_id"]: row for row in answers.plain(actual["results"])}
    same(sorted(one), sorted(other), f"folder {name}, resumed: its trials")
    found = (line for key in one for line in row_differences(one[key], other[key], exact))
    refuse_differences(found, f"folder {name}, resumed: its results", rule(exact))
    if exact:
        whole, region = name + RESUMED, golden["region"]
        same(changed_region(whole, region), actual["region"], f"folder {whole}: its region")
        words = changed_lines(whole, golden["out"].splitlines(), region)
        said(words, actual["out"], actual["answer"], f"folder {name}: what `resume` says")
        text = changed_lines(whole, golden["report"]["text"], region)
        before, now = (answers.without_durations(t) for t in (text, actual["report"]["text"]))
        shown(before, now, actual["answer"], f"folder {whole}: the text of its report")


@pytest.mark.parametrize("name", answers.VERIFIED)
def test_a_verification(name: str, tmp_path: Path, exact: bool) -> None:
    """The points that are drawn, and the answer once they are trained."""
    if not exact and name == "region":
        pytest.skip("its points are drawn by what a model says, and this is another machine")
    expected = recorded("folders")["answers"][name]["verified"]
    actual = answers.verify_answers(name, answers.opened(name, tmp_path / name))
    same(expected["id"], actual["id"], f"folder {name}: the verification's id")
    same(expected["plan"], actual["plan"], f"folder {name}: the verification's plan")
    if exact:
        same(expected, actual, f"folder {name}: the verification's answer", rule(exact))


def test_a_final_model(tmp_path: Path, exact: bool) -> None:
    """`sweeps train`: what is chosen, its figures, and its weights to the bit."""
    expected = recorded("folders")["answers"]["tpe"]["trained"]
    actual = answers.train_answers(answers.opened("tpe", tmp_path / "tpe"))
    held = [(each["figure"], each["value"]) for each in actual.pop("held to")]
    figures = [(each["figure"], each["value"]) for each in actual["told"]["figures"]]
    assert figures == held, "it is held to its own figures"
    if exact:
        same(expected, actual, "the final model", rule(exact))
    for key in ("trial_id", "trial", "point", "attack"):
        same(expected["told"][key], actual["told"][key], f"the final model's {key}")


# --- MLflow ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tracking store for all folders: its tables take seconds to make."""
    return tmp_path_factory.mktemp("store") / "mlflow.db"


@pytest.mark.parametrize("name", MIRRORED)
def test_runs_in_mlflow(name: str, store: Path, tmp_path: Path, exact: bool) -> None:
    """Names, states, tags, parameters and metrics of all runs."""
    runs = answers.mirrored(answers.opened(name, tmp_path / name), store)
    before = [run_with_figures_of_today(name, run) for run in recorded("mirror")["answers"][name]]
    of_points = all("trial_id" not in run["tags"] for run in runs)
    # A digest of metrics to the last bit: bounds of points are others since, and elsewhere figures
    # differ between versions of scipy.
    if of_points or not exact:
        for run in (*before, *runs):
            run["tags"].pop("mirrored_state", None)
    same(before, runs, f"folder {name}: its runs in MLflow")
