"""The answer in MLflow: tags and description of the experiment, and what a person wrote there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mirrored import free_port, runs
from mirrored_answers import HEADLINE, NOT_YET, SPACE, answered, setting
from mlflow import MlflowClient
from small import begin, small_spec
from trials import fake_result

from backdoor.config import TrialConfig
from sweeps.answer.write import write_region
from sweeps.cli.verify_ending import renewed
from sweeps.ledger import Ledger, finished_rows
from sweeps.mirror import mirror, mirror_answer
from sweeps.mirror.answer_tags import answer_tags
from sweeps.mirror.current_answer import written_answer
from sweeps.mirror.description import kept_apart
from sweeps.mirror.follower import Follower
from sweeps.search import make_search
from sweeps.storage.files import write_json

pytest_plugins = ["mirror_fixtures"]

NOTE = "mlflow.note.content"
ATTACK = {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.03]}


class Swept:
    """A finished sweep of two points, four trials, and the answer that commands find in its folder."""

    def __init__(
        self, root: Path, uri: str, monkeypatch: Any, recorded: int = 4, **changes: Any
    ) -> None:
        self.uri = uri
        defence = {"architecture": "ridge", "weight_decay": [0.01, 1]}
        tried = {"attack": ATTACK, "defence": defence, "seeds": 1, "tracking": {"uri": uri}}
        self.spec = small_spec(**{**tried, **changes})
        self.paths = begin(root, self.spec)
        self.trials = make_search(self.spec).ask(100)
        self.record(self.trials[:recorded])
        self.answer: Any = answered(self.paths, self.spec)
        monkeypatch.setattr("sweeps.mirror.current_answer.update_region", lambda *_: self.answer)

    def record(self, trials: list[TrialConfig]) -> None:
        results = [fake_result(trial, self.spec.measures) for trial in trials]
        Ledger(self.paths.ledger).append(finished_rows(results, "pack"))

    def tags(self) -> dict[str, str]:
        experiment = MlflowClient(tracking_uri=self.uri).get_experiment_by_name("small")
        assert experiment is not None
        return dict(experiment.tags)

    def set_tag(self, key: str, value: str) -> None:
        client = MlflowClient(tracking_uri=self.uri)
        found = client.get_experiment_by_name("small")
        assert found is not None
        client.set_experiment_tag(found.experiment_id, key, value)


@pytest.fixture
def swept(tmp_path: Path, new_store: Callable[[str], str], monkeypatch: Any) -> Swept:
    return Swept(tmp_path / "results", new_store("mlflow.db"), monkeypatch)


# --- what is said ------------------------------------------------------------------------------


def test_the_description_leads_with_the_standing_and_the_strongest_claim(swept: Swept) -> None:
    chosen: Any = setting(swept.answer)
    swept.answer |= {"setting": chosen, "doubts": ["Two models diverged."]}
    tags = answer_tags(swept.answer)
    lines = tags[NOTE].splitlines()
    assert lines[0] == f"**Not verified yet.** {HEADLINE}"
    titles = [line.strip("*") for line in lines[1:] if line.startswith("**")]
    assert titles == ["Question and state", "Recommended setting", "Verdicts", "What this does not cover",
                      "Next", "Data"]  # fmt: skip
    for line in ("- Which settings withstand 3 attacks?", "- finished: 40 of 40 trials",
                 f"- {chosen['label']}: IN by bounds", "- Two models diverged.",
                 "`sweeps status DIR` says what to do next; `sweeps report DIR` writes the page",
                 "- Of 36 tried points, at 95 %: 3 certainly IN, 2 likely IN, 5 undecided, 4 likely OUT, "
                 "20 certainly OUT, 2 incomplete; 8 IN by means"):  # fmt: skip
        assert line in [each.replace("\\", "") for each in lines], line
    assert {key: tags[key] for key in tags if key != NOTE} == {
        "headline": HEADLINE, "verification": "not verified yet",
        "recommended": chosen["label"], "recommended_basis": "bounds",
        "certainly_in": "3 of 36 tried points", "likely_in": "2 of 36 tried points",
        "undecided": "5 of 36 tried points", "likely_out": "4 of 36 tried points",
        "certainly_out": "20 of 36 tried points",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "text", "lead"),
    [
        ("verified", "verified (59 of 59 draws pass)", "Verified (59 of 59 draws pass)"),
        ("failed", "failed (2 of 5 draws pass)", "Verification: failed (2 of 5 draws pass)"),
        ("stale", "stale: 12 trials are new", "Verification: stale: 12 trials are new"),
    ],
)
def test_each_standing_leads(swept: Swept, state: str, text: str, lead: str) -> None:
    swept.answer |= {"verification": NOT_YET | {"state": state, "text": text}}
    swept.answer |= {"setting": setting(swept.answer)}
    tags = answer_tags(swept.answer)
    assert tags["verification"] == text
    assert tags[NOTE].splitlines()[0] == f"**{lead}.** {HEADLINE}"
    assert re.findall(r"`sweeps (\w+) DIR", tags[NOTE]) == ["status", "report"]  # no advice here


def test_a_region_search_also_says_shares_of_the_space_and_that_nothing_is_recommended(
    swept: Swept,
) -> None:
    swept.answer["verdicts"]["space"] = SPACE
    tags = answer_tags(swept.answer)
    assert tags["likely_in"] == "2 of 36 tried points; 41.2 % of the space"
    assert tags["certainly_in"] == "3 of 36 tried points"
    assert (tags["recommended"], tags["recommended_basis"]) == ("none", "none")
    assert "None: no setting is known to be inside." in tags[NOTE]
    assert "sweeps verify" not in tags[NOTE]


def test_names_are_only_names_and_long_texts_are_cut_with_their_length(swept: Swept) -> None:
    odd = "*a* <script>x</script>\n\n# b [c](d) `e` \x1b[2J\0"
    swept.answer |= {"doubts": [odd, *["x" * 5000] * 20], "headline": {"claim": "none", "text": "h" * 9000}}  # fmt: skip
    tags = answer_tags(swept.answer)
    assert tags["headline"].endswith("... (9,000 characters)") and len(tags["headline"]) <= 4000
    assert len(tags[NOTE]) <= 4000 and tags[NOTE].endswith("says the rest.*")
    swept.answer["headline"]["text"] = HEADLINE
    note = answer_tags(swept.answer)[NOTE]
    assert r"- \*a\* &lt;script>x&lt;/script> # b \[c\](d) \`e\` \x1b\[2J\x00" in note
    assert len(note) <= 4000 and "*Cut here: " in note and note.endswith("says the rest.*")


def test_an_answer_of_before_has_no_tags(swept: Swept) -> None:
    del swept.answer["headline"]
    assert answer_tags(swept.answer) == {}


# --- where it is set ---------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "kind"), [("mirror", "trial"), ("follower", "point")])
def test_mirror_and_last_pass_set_it(
    by: str, kind: str, tmp_path: Path, new_store: Any, monkeypatch: Any
) -> None:
    uri = new_store("mlflow.db")
    swept = Swept(tmp_path / "r", uri, monkeypatch, tracking={"uri": uri, "runs": kind})
    if by == "mirror":
        mirror(swept.paths)
    else:
        follower = Follower(swept.paths, [].append)
        follower.step()
        assert swept.tags()[NOTE].startswith("Data: ") and "headline" not in swept.tags()
        assert follower.last()
    tags = swept.tags()
    assert answer_tags(swept.answer).items() <= tags.items()
    assert tags["attacks_not_shown"] == "none" and "500 test images" in tags[NOTE]
    before = (tmp_path / "mlflow.db").read_bytes()
    mirror(swept.paths)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_new_answer_replaces_ours_and_no_other(swept: Swept) -> None:
    mirror(swept.paths)
    swept.answer["headline"]["text"] = "second"
    assert mirror_answer(swept.paths)
    assert swept.tags()[NOTE].startswith("**Not verified yet.** second")
    swept.set_tag(NOTE, "see the paper, table 2")
    swept.answer["headline"]["text"] = "third"
    assert mirror_answer(swept.paths)
    tags = swept.tags()
    assert tags[NOTE] == "see the paper, table 2" and tags["headline"] == "third"
    assert tags["answer"] == answer_tags(swept.answer)[NOTE]
    # Copied back, it is ours again.
    swept.set_tag(NOTE, tags["answer"])
    swept.answer["headline"]["text"] = "fourth"
    assert mirror_answer(swept.paths)
    assert swept.tags()[NOTE] == swept.tags()["answer"] == answer_tags(swept.answer)[NOTE]


def test_a_description_that_somebody_wrote_before_the_first_answer_stays(swept: Swept) -> None:
    follower = Follower(swept.paths, [].append)
    follower.step()
    swept.set_tag(NOTE, "")  # cleared
    assert follower.last()
    assert swept.tags()[NOTE] == "" and swept.tags()["answer"].startswith("**Not verified yet.**")


def test_a_description_that_was_interrupted_is_still_ours() -> None:
    first = kept_apart({}, {NOTE: "one"}, None)
    assert list(first)[-1] == NOTE
    between = {**first, "answer_state": kept_apart(first, {NOTE: "two"}, None)["answer_state"]}
    assert between[NOTE] == "one"
    assert kept_apart(between, {NOTE: "three"}, None)[NOTE] == "three"
    assert kept_apart({**between, NOTE: "two"}, {NOTE: "three"}, None)[NOTE] == "three"
    assert NOTE not in kept_apart({**between, NOTE: "mine"}, {NOTE: "three"}, None)


# --- the answer alone --------------------------------------------------------------------------


def test_nothing_is_made_for_the_answer_alone(
    swept: Swept, tmp_path: Path, empty_store: Path
) -> None:
    said = list[str]()
    store = tmp_path / "mlflow.db"
    before = store.read_bytes()
    assert not mirror_answer(swept.paths, said.append)  # no experiment
    assert store.read_bytes() == before
    store.unlink()
    assert not mirror_answer(swept.paths, said.append)
    assert not store.exists()
    store.touch()  # a file without tables
    assert not mirror_answer(swept.paths, said.append)
    assert store.stat().st_size == 0 and said == []
    shutil.copy(empty_store, store)
    experiment = mirror(swept.paths).experiment_id
    MlflowClient(tracking_uri=swept.uri).delete_experiment(experiment)
    assert not mirror_answer(swept.paths, said.append)
    assert MlflowClient(tracking_uri=swept.uri).get_experiment(experiment).lifecycle_stage == "deleted"  # fmt: skip


def test_a_store_that_is_away_is_a_note(tmp_path: Path, monkeypatch: Any) -> None:
    uri, said = f"http://127.0.0.1:{free_port()}", list[str]()
    swept = Swept(tmp_path / "r", uri, monkeypatch)
    assert not mirror_answer(swept.paths, said.append)
    (note,) = said
    assert note.startswith(f"note: MLflow does not show this answer yet (MLflow's store {uri} cannot be used: ")  # fmt: skip
    assert "); send it with: " in note
    assert note.endswith(f"sweeps mirror {tmp_path / 'r'}")


def test_tracking_off_has_no_answer_to_send(tmp_path: Path, monkeypatch: Any) -> None:
    swept, said = Swept(tmp_path / "r", "", monkeypatch, tracking="none"), list[str]()
    assert not mirror_answer(swept.paths, said.append) and said == []


# --- which answer it is ------------------------------------------------------------------------


def test_region_json_is_read_where_nothing_is_newer(swept: Swept) -> None:
    region: Any = write_region(swept.paths, swept.spec)
    region.setdefault("headline", {"claim": "none", "text": "written"})
    write_json(swept.paths.region, region)
    ledger = Ledger(swept.paths.ledger)
    assert written_answer(swept.paths) == region
    written = swept.paths.region.stat().st_mtime_ns
    for file in (swept.paths.sweep, ledger.files()[0]):
        before = file.stat().st_mtime_ns
        os.utime(file, ns=(written + 1, written + 1))
        assert written_answer(swept.paths) is None
        os.utime(file, ns=(before, before))
    region["trials"]["finished"] += 1
    write_json(swept.paths.region, region)
    assert written_answer(swept.paths) is None


def test_the_last_pass_shows_what_the_sweep_has_written(
    tmp_path: Path, new_store: Any, monkeypatch: Any
) -> None:
    """Its ledger was open before the last trials came; nothing is judged once more."""
    swept = Swept(tmp_path / "r", new_store("x.db"), monkeypatch, recorded=1)
    follower = Follower(swept.paths, [].append)
    follower.step()
    swept.record(swept.trials[1:])
    write_region(swept.paths, swept.spec, finished=True)
    monkeypatch.setattr("sweeps.mirror.current_answer.update_region", pytest.fail)
    assert follower.last()
    assert "finished, 4 of 4 trials have ended" in swept.tags()[NOTE]


# --- a region search, a run a point ------------------------------------------------------------


def region_search(root: Path, uri: str, monkeypatch: Any) -> Swept:
    """Two trials, each of a point of its own: under one of two attacks."""
    search = {"kind": "region", "budget": 2, "pending": 2}
    tracking, attack = {"uri": uri, "runs": "point"}, {**ATTACK, "poison_rate": [0.01, 0.03]}
    return Swept(
        root, uri, monkeypatch, search=search, tracking=tracking, attack=attack,
        defence={"architecture": "ridge", "weight_decay": {"log": [0.01, 1]}},
    )  # fmt: skip


def judged(swept: Swept) -> Any:
    """What its model says of the points."""
    rate = {"expected": 0.9, "lower": 0.85, "upper": 0.95}
    low = {"expected": 0.1, "lower": 0.02, "upper": 0.3}
    swept.answer = answered(swept.paths, swept.spec, recommended=None)
    for point in swept.answer["points"]:
        point |= {"inside": 0.97, "by_model": "IN", "verdict": "likely in",
                  "expected": {"clean_accuracy": rate, "attack_success": low,
                               "worst_attack": "patch(size=1) at 3 %"}}  # fmt: skip
    return swept.answer


EXPECTED = {
    "p_inside": 0.97, "expected_clean_accuracy": 0.9, "expected_clean_accuracy_lower": 0.85,
    "expected_clean_accuracy_upper": 0.95, "expected_attack_success": 0.1,
    "expected_attack_success_lower": 0.02, "expected_attack_success_upper": 0.3,
}  # fmt: skip


def test_points_of_a_region_search_end_with_what_its_model_expects(
    tmp_path: Path, new_store: Any, monkeypatch: Any
) -> None:
    """Also where it was stopped."""
    swept = region_search(tmp_path / "r", new_store("x.db"), monkeypatch)
    follower = Follower(swept.paths, [].append)
    follower.step()
    running = runs(swept.uri)
    assert running and {run.info.status for run in running} == {"RUNNING"}
    for run in running:
        assert not EXPECTED.keys() & run.data.metrics.keys()
        assert "verdict" not in run.data.tags and run.data.tags["by_model"] == "UNDECIDED"
        assert run.data.metrics["trials_finished"] >= 1
    answer = judged(swept)
    answer["state"]["state"] = "stopped"
    answer["setting"] = setting(answer)
    assert follower.last()
    ended = runs(swept.uri)
    assert {run.info.run_id for run in ended} == {run.info.run_id for run in running}
    for run in ended:
        assert run.info.status == "FINISHED"
        assert EXPECTED.items() <= run.data.metrics.items()
        assert "clean_accuracy" not in run.data.metrics  # nothing was measured of the whole panel
        assert any(key.startswith("clean_accuracy_by_seed.") for key in run.data.metrics)
        tags = run.data.tags
        assert (tags["verdict"], tags["by_model"], tags["inside"]) == ("likely in", "IN", "0.970")
        assert tags["expected_by"] == "model of the region search, one new seed, 95 %"
        assert tags["expected_worst_attack"] == "patch(size=1) at 3 %"
        chosen = tags["defence_id"] == answer["setting"]["defence_id"]
        assert tags["recommended"] == ("true" if chosen else "false")
    assert mirror(swept.paths).present == len(ended)


def test_a_region_search_that_goes_on_runs_again_and_may_expect_nothing(
    tmp_path: Path, new_store: Any, monkeypatch: Any
) -> None:
    swept = region_search(tmp_path / "r", new_store("x.db"), monkeypatch)
    judged(swept)
    mirror(swept.paths)
    before = {run.info.run_id for run in runs(swept.uri)}
    follower = Follower(swept.paths, [].append)
    follower.step()
    for run in runs(swept.uri):
        assert run.info.status == "RUNNING" and "expected_by" not in run.data.tags
        assert all(run.data.metrics[key] != run.data.metrics[key] for key in EXPECTED)  # NaN
    for point in swept.answer["points"]:
        for key in ("inside", "by_model", "verdict", "expected"):
            del point[key]
    assert follower.last()
    ended = runs(swept.uri)
    assert {run.info.run_id for run in ended} == before
    assert {run.info.status for run in ended} == {"FINISHED"}
    assert all("verdict" not in run.data.tags for run in ended)
    assert mirror(swept.paths).present == len(ended)


def test_points_of_a_grid_show_the_verdict_of_the_answer(
    tmp_path: Path, new_store: Any, monkeypatch: Any
) -> None:
    uri = new_store("x.db")
    swept = Swept(tmp_path / "r", uri, monkeypatch, tracking={"uri": uri, "runs": "point"})
    points = swept.answer["points"]
    for point, verdict in zip(points, ("likely in", "certainly out"), strict=True):
        point |= {"verdict": verdict, "inside": 0.25, "by_model": "OUT"}
    swept.answer["setting"] = setting(swept.answer, 1)
    mirror(swept.paths)
    found = {run.data.tags["defence_id"]: run.data for run in runs(uri)}
    for number, point in enumerate(points):
        data = found[point["defence_id"]]
        assert data.tags["verdict"] == point["verdict"] and data.tags["by_model"] == "OUT"
        assert data.metrics["p_inside"] == 0.25 and "expected_by" not in data.tags
        assert data.metrics["clean_accuracy"] == point["clean_accuracy"]
        assert data.tags["recommended"] == ("true" if number == 1 else "false")


def test_trainings_that_were_fed_back_come_with_the_answer(swept: Swept, capsys: Any) -> None:
    """`sweeps verify --learn` adds trials to a sweep that has ended."""
    assert mirror(swept.paths).created == 4
    learned = make_search(small_spec(**{**swept.spec.document, "seeds": 2})).ask(8)
    swept.record([trial for trial in learned if trial.seed == 1])
    renewed(swept.paths)
    assert len(runs(swept.uri)) == 4
    renewed(swept.paths, trials=True)
    assert len(runs(swept.uri)) == 8 and capsys.readouterr().err == ""
