"""Probes in sweeps: the spec, the record, resume, failures, tables and commands."""

import json
import math
import os
import signal
import subprocess
import sys

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from small import SMALL, begin, results, small_spec, sweep
from trials import fake_rows

import sweeps.ledger.probe_results
from backdoor.errors import StoredDataError, UserError
from sweeps.cli.main import main
from sweeps.ledger import Ledger, decode, encode, load_results
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners import train_pack
from sweeps.runners.replay import ReplayRunner
from sweeps.runners.serial import SerialRunner

COUNTING, FAILING = {"kind": "fake_probes:Counting"}, {"kind": "fake_probes:Failing"}
PERSISTENCE = {"kind": "persistence", "clean_fraction": 0.05, "epochs": 1}
NETWORKS = {"architecture": "linear", "weight_decay": [0, 0.03], "epochs": 2}


def probed(*probes, **changes):
    return small_spec(probes=list(probes), **changes)


def probe_results(paths):
    """(trial_id, kind) to (outcome, columns, error)."""
    found = {}
    for result in Ledger(paths.ledger).probe_results.rows():
        key = result.trial_id, result.kind
        assert key not in found
        found[key] = result.outcome, result.columns, result.error
    return found


# --- the spec ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        (3, r"^probes: must be a list of probes, but got 3. For example \["),
        (["persistance"], r"^probes\[0\].kind: must be a known probe, but got 'persistance'. Did you mean 'persistence'"),
        ([{"kind": "persistence", "epochs": 0}], r"^probes\[0\].epochs: must be >= 1, but got 0"),
        ([COUNTING, COUNTING], r"^probes\[1\]: must not repeat probes\[0\], but got .*Remove one of the two.$"),
        (["persistence"], r"^probes\[0\].kind: must be asked of networks only, and ridge is solved, not trained by steps, but got 'persistence'. Give networks a sweep of their own, or leave this probe out.$"),
        (["fake_probes:Uneven"], r"^probes\[0\].kind: must meet a weight decay up to 0.5, but got 'uneven'. Lower it.$"),
    ],
)  # fmt: skip
def test_mistakes(probes, message) -> None:
    strong = {"architecture": "ridge", "weight_decay": [0.6, 1]}
    with pytest.raises(UserError, match=message) as caught:
        small_spec(probes=probes, defence=strong)
    assert len(caught.value.mistakes) == 1


def test_a_probe_leaves_out_models_that_it_does_not_suit(tmp_path) -> None:
    """Networks and a closed form in one sweep, and a probe of each family."""
    both = {"architecture": ["linear", {"kind": "ridge", "weight_decay": 0.1}], "epochs": 2}
    spec = probed(PERSISTENCE, "parameter_shift", defence=both)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    kinds = {
        row.trial_id: row.config["defence"]["architecture"]["kind"]
        for row in Ledger(paths.ledger).trials()
    }
    found = {"persistence": set(), "parameter_shift": set()}
    for (trial_id, probe), (outcome, _, error) in probe_results(paths).items():
        assert error is None
        if outcome == "found":
            found[probe].add(kinds[trial_id])
    assert found == {"persistence": {"linear"}, "parameter_shift": {"ridge"}}
    assert not Ledger(paths.ledger).unprobed(spec.probes)  # nothing to say is an answer


def test_a_clean_set_larger_than_the_validation_set_is_refused() -> None:
    wrong = {**PERSISTENCE, "clean_fraction": 0.2}
    rule = "times the 1100 training images must be 1 to 197 images, the number of validation images, but got 0.2"
    with pytest.raises(UserError, match=r"^probes\[0\].clean_fraction: " + rule):
        small_spec(probes=[wrong], defence=NETWORKS)
    with pytest.raises(UserError, match="images must be 1 to 197 images"):
        small_spec(probes=[{**PERSISTENCE, "clean_fraction": 0.0001}], defence=NETWORKS)


def test_probes_are_no_part_of_a_trial_and_travel_with_its_pack() -> None:
    plain, asked = small_spec(defence=NETWORKS), probed(PERSISTENCE, COUNTING, defence=NETWORKS)
    assert asked.probes[0].epochs == 1 and plain.probes == ()
    trials = [
        [s.trial(build(s), a, 0).trial_id for a in s.attacks for build in (_first,)]
        for s in (plain, asked)
    ]
    assert trials[0] == trials[1]
    pack = Pack(
        (asked.trial(_first(asked), None, 0),), PackSettings(asked.measures, probes=asked.probes)
    )
    assert Chunk.from_json(Chunk((pack,)).to_json()) == Chunk((pack,))


def _first(spec):
    from backdoor.config import build_defence

    return build_defence(next(iter(spec.defence.grid())))


# --- the record --------------------------------------------------------------------------------


def test_results_are_recorded_beside_rows_that_they_do_not_change(tmp_path) -> None:
    plain, asked = small_spec(), probed(COUNTING)
    without, paths = begin(tmp_path / "plain", plain), begin(tmp_path / "asked", asked)
    sweep(without, plain, SerialRunner())
    outcome = sweep(paths, asked, SerialRunner())
    assert (outcome.finished, outcome.failed, outcome.unprobed) == (24, 0, 0)
    assert results(paths) == results(without)
    assert not (without.ledger / "probes").exists()
    found = probe_results(paths)
    for row in Ledger(paths.ledger).trials():
        outcome, columns, error = found[row.trial_id, "fake_probes:Counting"]
        if row.is_clean:
            assert (outcome, columns) == ("nothing", {})
            continue
        figure = [pytest.approx(row.clean_accuracy)]
        assert columns == {"figure": figure, "grad": [1], "seed": [row.seed]}
        assert (outcome, error) == ("found", None)
    assert len(found) == 24


def test_a_probe_that_fails_loses_its_result_and_nothing_else(
    tmp_path, monkeypatch, capsys
) -> None:
    mark = tmp_path / "fails"
    mark.touch()
    monkeypatch.setenv("FAILING", str(mark))
    spec = probed(COUNTING, FAILING, "fake_probes:Uneven", seeds=1,
                  defence={"architecture": "ridge", "weight_decay": 0.1})  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, SerialRunner())
    assert (outcome.finished, outcome.failed, outcome.unprobed) == (3, 0, 3)
    found = probe_results(paths)
    errors = [error for *_, error in found.values()]
    assert errors.count("ValueError: a probe that fails") == 2
    assert errors.count(
        "ValueError: columns of a result must have one length above 0, not {'one': 1, 'two': 2}"
    ) == 3  # fmt: skip
    assert main(["status", str(paths.root)]) == 0
    out = capsys.readouterr().out
    assert "2 x ValueError: a probe that fails" in out
    assert "probe fake_probes:Counting 2 results, 1 not applicable, 0 failed" in out
    poisoned = next(r for r in Ledger(paths.ledger).trials() if not r.is_clean)
    assert main(["show", str(paths.root), poisoned.trial_id]) == 0
    shown = {s["probe"]["kind"]: s for s in json.loads(capsys.readouterr().out)["studies"]}
    assert shown["fake_probes:Failing"]["error"] == "ValueError: a probe that fails"
    assert shown["fake_probes:Counting"]["columns"]["seed"] == [0]
    # A resumed sweep tries what failed again, and nothing that was found is done twice.
    mark.unlink()
    before = results(paths)
    assert sweep(paths, spec, SerialRunner()).unprobed == 3  # Uneven always fails
    assert results(paths) == before
    curves = [v for (_, kind), v in probe_results(paths).items() if kind == "fake_probes:Failing"]
    assert len(curves) == 3
    for outcome, columns, _ in curves:
        assert outcome == "found" and columns["label"] == ["a", "b", "c"]
        assert columns["curve"][:2] == [0.0, 0.5] and math.isnan(columns["curve"][2])


def test_probes_asked_for_later_train_again_only_what_they_need(tmp_path, capsys) -> None:
    document = {**SMALL, "defence": NETWORKS, "seeds": 1}
    spec_file = tmp_path / "s.yaml"
    spec_file.write_text(yaml.safe_dump(document))
    folder = tmp_path / "r"
    assert main(["run", str(spec_file), "--out", str(folder), "--runner", "serial"]) == 0
    paths = begin(tmp_path / "other", small_spec())  # only for its type
    paths = type(paths)(folder)
    before = Ledger(paths.ledger).table()
    again = ["resume", str(folder), "--runner", "serial", "--probes"]
    assert main([*again, "[persistance]"]) == 2
    assert "probes[0].kind: must be a known probe" in capsys.readouterr().err
    assert "probes" not in yaml.safe_load((folder / "spec.yaml").read_text())
    assert main([*again, "[{kind: persistence, epochs: 1}]"]) == 0
    assert Ledger(paths.ledger).table().equals(before), "recorded rows have changed"
    assert len(probe_results(paths)) == 6
    assert main([*again, "['fake_probes:Counting']"]) == 0
    assert len(probe_results(paths)) == 12, "results of probes no longer named are lost"
    trained = []
    spec = small_spec(**{**document, "probes": ["fake_probes:Counting"]})
    outcome = sweep(paths, spec, SerialRunner(lambda pack: trained.append(pack)))
    assert not trained and outcome.unprobed == 0


def test_merges_travel_and_replay_keep_results(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweeps.ledger.probe_results, "COMPACT_AT", 2)
    spec = probed(COUNTING)
    paths = begin(tmp_path / "r", spec)
    travelled = SerialRunner(lambda pack: decode(encode(train_pack(pack))))
    sweep(paths, spec, travelled)
    found, ledger = probe_results(paths), Ledger(paths.ledger)
    ledger.compact()
    assert len(ledger.probe_results.files()) == 1 and probe_results(paths) == found
    replayed = begin(tmp_path / "replayed", spec)
    sweep(replayed, spec, ReplayRunner(ledger, workers=2))
    assert probe_results(replayed) == found and results(replayed) == results(paths)


def test_a_newer_or_damaged_file_is_refused(tmp_path) -> None:
    spec = probed(COUNTING, seeds=1)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    store = Ledger(paths.ledger).probe_results
    store.compact()
    (file,) = store.files()
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"schema_version": "9"}), file)
    with pytest.raises(StoredDataError, match="must have schema version 1, but got 9"):
        Ledger(paths.ledger).probe_results.table()
    file.write_bytes(b"PAR1 torn")
    with pytest.raises(StoredDataError, match="must be a readable Parquet file"):
        Ledger(paths.ledger).probe_results.table()


def test_rows_without_probe_results_are_recorded(tmp_path) -> None:
    """Work that knows no probes, as older workers: trials count, and their probe results are lacking."""
    spec = probed(COUNTING)
    paths = begin(tmp_path / "r", spec)
    assert sweep(paths, spec, SerialRunner(fake_rows)).unprobed == 24


# --- tables and commands -----------------------------------------------------------------------


def test_the_table_pairs_each_result_with_its_clean_baseline(tmp_path) -> None:
    spec = probed(PERSISTENCE, defence=NETWORKS,
                  attack={"trigger": ["patch", "blend"], "poison_rate": [0, 0.03]})  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    rows = load_results(paths.root, "persistence").to_pylist()
    clean = {
        (r["defence_id"], r["seed"], r["step"], r["measure_id"]): r
        for r in rows if r["attack_id"] == "clean"
    }  # fmt: skip
    poisoned = [r for r in rows if r["attack_id"] != "clean"]
    assert len(clean) == 2 * 2 * 2 * 2 and len(poisoned) == 2 * 2 * 2 * 2
    for row in poisoned:
        pair = clean[row["defence_id"], row["seed"], row["step"], row["measure_id"]]
        assert row["baseline_attack_success"] == pair["attack_success"]
        assert row["baseline_clean_accuracy"] == pair["clean_accuracy"]
        assert pair["attack.trigger"] == row["attack.trigger"]
        assert row["probe.epochs"] == 1 and row["probe"] == "persistence"
    assert load_results(paths.root, "slope").num_rows == 0


def test_check_and_export(tmp_path, capsys) -> None:
    document = {**SMALL, "defence": NETWORKS, "seeds": 1, "probes": [PERSISTENCE]}
    spec_file, folder = tmp_path / "s.yaml", tmp_path / "r"
    spec_file.write_text(yaml.safe_dump(document))
    assert main(["check", str(spec_file)]) == 0
    assert (
        "  probe on every trained model that it suits: persistence(epochs=1)\n"
        in capsys.readouterr().out
    )
    assert main(["run", str(spec_file), "--out", str(folder), "--runner", "serial"]) == 0
    assert main(["export", str(folder)]) == 2
    assert "--csv or --probes: must name the file to write" in capsys.readouterr().err
    file = tmp_path / "probes.csv"
    assert main(["export", str(folder), "--probes", str(file)]) == 0
    assert "12 rows written" in capsys.readouterr().err
    table = pyarrow.csv.read_csv(file)
    assert table.num_rows == 12 and {"trial_id", "step", "attack_success"} <= set(
        table.column_names
    )


# --- on Ray Tune, killed and resumed -----------------------------------------------------------


#: A driver that dies when probe results have been written and the first rows are about to be.
DYING = """
import os, signal, sys
import sweeps.ledger
from sweeps.cli.main import main
sweeps.ledger.ledger.write_table = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_on_tune_killed_and_resumed(tmp_path) -> None:
    """No trial and no probe result is lost or double, and all are those of an undisturbed sweep."""
    import ray

    from sweeps.runners.tune import TuneRunner
    from sweeps.storage.paths import SweepPaths

    document = {**SMALL, "defence": NETWORKS, "seeds": 1, "probes": [PERSISTENCE]}
    (spec_file := tmp_path / "s.yaml").write_text(yaml.safe_dump(document))
    address = ray.get_runtime_context().gcs_address
    environment = {**os.environ, "RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"}
    driver = subprocess.run(
        [sys.executable, "-c", DYING, "run", spec_file, "--out", tmp_path / "r"],
        env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert driver.returncode == -signal.SIGKILL, driver.stderr
    paths, spec = SweepPaths(tmp_path / "r"), small_spec(**document)
    assert probe_results(paths) and not results(paths)
    outcome = sweep(paths, spec, TuneRunner())
    assert (outcome.finished, outcome.unprobed) == (6, 0)
    calm = begin(tmp_path / "calm", spec)
    sweep(calm, spec, SerialRunner())
    assert results(paths) == results(calm)
    assert probe_results(paths) == probe_results(calm)
