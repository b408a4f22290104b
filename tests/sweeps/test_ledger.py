"""The only record: one row a trial, whole files, no mixtures, and no silent fresh start."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from made_rows import plain_row
from small import begin, small_spec, sweep
from trials import fake_result, fake_rows, trial

import sweeps.ledger
from backdoor.errors import StoredDataError
from backdoor.result import CurvePoint, PartialResult
from sweeps.ledger import (
    SCHEMA,
    Ledger,
    decode,
    encode,
    failed_rows,
    finished_rows,
    joined,
    load_probe_results,
    load_results,
    partial_rows,
    stopped_rows,
    trial_rows,
)
from sweeps.ledger.flat import column_of, write_csv
from sweeps.runners.serial import SerialRunner

TRIALS = [trial(seed=seed) for seed in range(6)]


def rows(*configs, **changes):
    return finished_rows([replace(fake_result(c), **changes) for c in configs], "pack")


def test_rows_survive_the_way_through_arrow_and_parquet(tmp_path) -> None:
    sent = rows(*TRIALS)
    assert decode(encode(sent)).equals(sent)
    Ledger(tmp_path).append(sent)
    assert Ledger(tmp_path).table().equals(sent)
    assert Ledger(tmp_path).table().schema.equals(SCHEMA)


def test_a_trial_counts_once_however_often_it_is_reported(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.append(rows(*TRIALS[:3])).num_rows == 3
    assert ledger.append(rows(*TRIALS[:4])).num_rows == 1
    assert ledger.append(rows(TRIALS[5], TRIALS[5])).num_rows == 1
    assert Ledger(tmp_path).finished == {t.trial_id for t in [*TRIALS[:4], TRIALS[5]]}


def test_a_failure_counts_until_the_trial_finishes(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(failed_rows(TRIALS[:2], "pack", "boom"))
    ledger.append(failed_rows(TRIALS[:2], "pack", "boom again"))
    ledger.append(rows(TRIALS[0]))
    ledger.append(failed_rows(TRIALS[:1], "pack", "too late"))
    again = Ledger(tmp_path)
    assert again.finished == {TRIALS[0].trial_id} and again.failed == {TRIALS[1].trial_id}
    assert {row.trial_id: row.error for row in again.trials()} == {
        TRIALS[0].trial_id: None, TRIALS[1].trial_id: "boom again",
    }  # fmt: skip


def test_merging_keeps_every_row_and_leaves_one_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweeps.ledger.ledger, "COMPACT_AT", 4)
    ledger = Ledger(tmp_path)
    for config in TRIALS:
        ledger.append(rows(config))
        assert len(ledger.files()) <= 6
    before = ledger.table().sort_by("trial_id")
    ledger.compact()
    assert len(ledger.files()) == 1
    assert Ledger(tmp_path).table().sort_by("trial_id").equals(before)


def test_a_row_is_rewritten_as_often_as_the_logarithm_of_their_number(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sweeps.ledger.ledger, "COMPACT_AT", 1)
    ledger, written = Ledger(tmp_path), []
    write = Ledger._write

    def counted(self, word, table):
        written.append(table.num_rows)
        return write(self, word, table)

    monkeypatch.setattr(Ledger, "_write", counted)
    for i in range(64):
        ledger.append(rows(replace(TRIALS[0], seed=i)))
    assert ledger.table()["seed"].to_pylist() == list(range(64)), "the order of writing is kept"
    assert len(ledger.files()) <= 8
    assert sum(written) <= 64 * 7, "merging all files each time writes 1,100 rows"


def test_a_merge_killed_before_it_cleaned_up_doubles_nothing(tmp_path, monkeypatch) -> None:
    ledger = Ledger(tmp_path)
    for config in TRIALS:
        ledger.append(rows(config))
    before = ledger.table().sort_by("trial_id")
    monkeypatch.setattr(Path, "unlink", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ledger.compact()
    monkeypatch.undo()
    assert len(ledger.files()) == 7
    assert Ledger(tmp_path).table().sort_by("trial_id").equals(before)


def test_a_reader_beside_a_merging_writer_misses_nothing(tmp_path, monkeypatch) -> None:
    writer, reader = Ledger(tmp_path), Ledger(tmp_path)
    for config in TRIALS:
        writer.append(rows(config))
    read, merged = pq.read_table, []

    def merge_first(file, **options):
        if not merged:
            merged.append(True)
            writer.compact()
        return read(file, **options)

    monkeypatch.setattr(pq, "read_table", merge_first)
    assert reader.table().num_rows == 6 and merged


def test_one_read_serves_until_another_process_writes(tmp_path, monkeypatch) -> None:
    writer = Ledger(tmp_path)
    writer.append(rows(*TRIALS[:2]))
    reader, read, count = Ledger(tmp_path), pq.read_table, []
    monkeypatch.setattr(pq, "read_table", lambda *a, **k: count.append(1) or read(*a, **k))
    assert reader.table() is reader.table() and not count
    assert reader.trials()[0] is reader.trials()[0]
    writer.append(rows(*TRIALS[2:]))
    assert len(reader.trials()) == 6 and len(count) == 2
    assert len(reader.table()) == 6 and len(count) == 2


def test_one_open_ledger_makes_all_tables(tmp_path, monkeypatch) -> None:
    spec = small_spec(probes=["fake_probes:Counting"], defence={"architecture": "ridge"}, seeds=1)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    of_folder = [
        load_results(paths.root),
        load_results(paths.root, "all"),
        load_probe_results(paths.root),
    ]
    ledger = Ledger(paths.ledger)
    monkeypatch.setattr(Ledger, "_read", None)
    assert of_folder == [
        load_results(ledger),
        load_results(ledger, "all"),
        load_probe_results(ledger),
    ]
    assert of_folder[1].num_rows and of_folder[2]


# --- records -----------------------------------------------------------------------------------


def every_status():
    """A finished, a stopped and a failed trial, with curves and without."""
    curve = (CurvePoint(1, 30, (9,), 20), CurvePoint(2, 40, (5,), 25))
    finished = (
        rows(TRIALS[0], curve=curve),
        finished_rows([fake_result(trial("ridge", rate=0), [TRIALS[0].attack])], "pack"),
    )
    partial = PartialResult(TRIALS[1], "fake", 1, "fingerprint", 100, 3, 3, 197, (50, 50), {"m": 90}, curve, 1.0, "cpu", "here")  # fmt: skip
    stopped = stopped_rows(partial_rows([partial], "pack"), "asha: score", "fails: x")
    return joined([*finished, stopped, failed_rows([TRIALS[2]], "pack", "boom")])


def test_rows_as_records_have_the_values_of_their_columns() -> None:
    table = every_status()
    found, plain = trial_rows(table), table.to_pylist()
    assert found == list(map(plain_row, plain))
    assert [row.measurements[0].success for row in found[:2]] == [
        p["measurements"][0]["success"] for p in plain[:2]
    ]
    assert found[2].curve[1] == CurvePoint(2, 40, (5,), 25) and found[2].predicted == "fails: x"
    assert [row.finished for row in found] == [True, True, False, False]
    assert [row.clean_total for row in found] == [500, 500, 100, 0]
    assert found[1].is_clean and found[2].attack_success is found[3].clean_accuracy is None


def test_unfinished_files_are_not_read(tmp_path) -> None:
    Ledger(tmp_path).append(rows(TRIALS[0]))
    (tmp_path / ".part-1.parquet.abc.tmp").write_bytes(b"PAR1 torn")
    assert Ledger(tmp_path).table().num_rows == 1


def test_a_torn_file_is_named_and_nothing_begins_afresh(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(rows(TRIALS[0]))
    (file,) = ledger.files()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoredDataError, match=rf"{file.name}: must be a readable Parquet file"):
        Ledger(tmp_path)


def test_another_schema_version_is_refused(tmp_path) -> None:
    table = rows(TRIALS[0]).replace_schema_metadata({"schema_version": "99"})
    pq.write_table(table, tmp_path / "part-1.parquet")
    message = "must have schema version 1 or 2 or 3 or 4 or 5 or 6 or 7, but got 99"
    with pytest.raises(StoredDataError, match=message):
        Ledger(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"data_fingerprint": "other"},
            "all rows must be made with data fingerprint, but got 'other'",
        ),
        ({"engine_version": 2}, "all rows must be made with fake 1, but got 2"),
    ],
)
def test_rows_of_other_data_or_numerics_are_not_mixed_in(tmp_path, change, text) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(rows(TRIALS[0]))
    with pytest.raises(StoredDataError, match=text):
        ledger.append(rows(TRIALS[1], **change))
    assert Ledger(tmp_path).finished == {TRIALS[0].trial_id}


def test_load_results_is_flat_and_says_what_was_measured(tmp_path) -> None:
    spec = small_spec(
        attack={"trigger": [{"kind": "patch", "size": 1}, "blend"], "poison_rate": [0, 0.03]}
    )
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    table = load_results(tmp_path / "r")
    flat = table.to_pylist()
    assert table.num_rows == 4 * 2 * (
        2 + 2
    )  # points x seeds x (two attacks + a baseline measured twice)
    clean = [row for row in flat if row["attack.poison_rate"] == 0]
    assert {row["attack.trigger"] for row in clean} == {"patch", "blend"}
    assert len({row["trial_id"] for row in clean}) == 8
    for row in flat:
        assert row["attack_success"] == row["success"] / row["total"]
        assert row["clean_accuracy"] == row["clean_correct"] / row["clean_total"]
        assert row["defence.architecture"] in ("linear", "ridge")
        assert (row["defence.epochs"] is None) == (row["defence.architecture"] == "ridge")
    sizes = {row["attack.trigger.size"] for row in flat if row["attack.trigger"] == "patch"}
    assert sizes == {1}


def test_a_factor_of_texts_and_numbers_is_a_column_of_texts(tmp_path) -> None:
    architecture = [{"kind": "rbf_svm", "gamma": ["scale", 0.1], "weight_decay": 1}, "linear"]
    spec = small_spec(defence={"architecture": architecture})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    gammas = load_results(tmp_path / "r")["defence.architecture.gamma"]
    assert gammas.type == pa.string() and set(gammas.to_pylist()) == {"scale", "0.1", None}
    assert column_of([1, 0.5, None]).to_pylist() == [1, 0.5, None]


def test_a_folder_may_have_a_colon_in_its_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(Path("run:1"))
    ledger.append(rows(TRIALS[0]))
    assert [row.trial_id for row in Ledger(Path("run:1")).trials()] == [TRIALS[0].trial_id]


def test_config_is_json(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(rows(TRIALS[0]))
    assert json.loads(pa.table(ledger.table())["config"][0].as_py()) == TRIALS[0].canonical
    assert ledger.rows()[0]["config"] == TRIALS[0].canonical


def test_lists_are_json_text_in_a_csv_file(tmp_path) -> None:
    """Such as `betas` of a learning curve."""
    table = pa.table({"probe.betas": [[0.1, 1.0], None], "beta": [0.1, 1.0]})
    write_csv(table, tmp_path / "t.csv")
    read = pyarrow.csv.read_csv(tmp_path / "t.csv").to_pylist()
    assert [row["probe.betas"] for row in read] == ["[0.1,1.0]", ""]
    assert [row["beta"] for row in read] == [0.1, 1.0]


def test_rows_of_an_empty_table_are_none() -> None:
    """Also where it has no chunk, as after a journey or a filter."""
    assert trial_rows(decode(encode(SCHEMA.empty_table()))) == []
    table = pa.concat_tables([SCHEMA.empty_table()])
    assert trial_rows(table.filter(pa.array([], pa.bool_()))) == []
