"""An environment that may be hostile: odd paths, blank and wrong variables, links, full disks."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from small import small_spec

from backdoor.errors import Mistake, UserError
from backdoor.reading.cache_files import cache_folder
from sweeps.cli.console import FINE, WRONG
from sweeps.cli.main import main
from sweeps.cli.os_errors import os_error_line
from sweeps.cli.restarting import restart, without_secrets
from sweeps.mirror import ui_command
from sweeps.mirror.tracking_store import moved_store, refuse_linked_store, store_uri, tracking_uri
from sweeps.results.create import create_results
from sweeps.runners.ray_address import ray_address
from sweeps.spec import SweepSpec
from sweeps.storage.files import locked, new_private, write_atomic, write_json
from sweeps.storage.named_places import named_place
from sweeps.storage.paths import SweepPaths, open_results, read_sweep
from sweeps.storage.sqlite_address import opened_uri, sqlite_file, sqlite_uri

ODD = ["what?really", "100%41 done", "a b", "a#b&c", 'it\'s "q"', "two\nlines", "umläut", "a:b@c"]


@pytest.fixture
def spec() -> SweepSpec:
    return small_spec(tracking={})


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_the_address_of_any_path_means_that_path(name: str, tmp_path: Path) -> None:
    from sqlalchemy.engine import make_url

    file = tmp_path / name / "mlflow.db"
    file.parent.mkdir()
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file == Path(make_url(uri).database)
    opened = Path(make_url(opened_uri(uri)).database)
    opened.write_text("here")
    assert file.read_text() == "here"
    # MLflow makes the folder of the path as it is written.
    Path(opened_uri(uri).removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_the_command_for_the_pages_opens_the_file_itself(tmp_path: Path) -> None:
    words = shlex.split(ui_command(sqlite_uri(tmp_path / "what?really" / "mlflow.db")))
    assert words[:3] == ["cd", str(tmp_path / "what?really"), "&&"]
    assert words[-1] == "sqlite:///mlflow.db"


def test_folders_of_before_keep_working_and_say_where_runs_were(tmp_path: Path) -> None:
    paths = SweepPaths(tmp_path / "what?really")
    sweep = {"tracking": {"uri": f"sqlite:///{paths.own_store}"}}
    paths.root.mkdir()
    assert store_uri(sweep, paths) == sqlite_uri(paths.own_store)
    assert moved_store(sweep, paths) is None
    (tmp_path / "what").write_bytes(b"SQLite format 3\0")
    note = moved_store(sweep, paths)
    assert note is not None and note.startswith(
        f"an earlier release wrote MLflow's runs to {tmp_path / 'what'}; they are written to"
    )
    elsewhere = {"tracking": {"uri": "sqlite:////elsewhere/100%41/mlflow.db"}}
    assert store_uri(elsewhere, paths) == "sqlite:////elsewhere/100%41/mlflow.db"


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("", "must be a path, but got ''"),
        (" ", "must be a path, but got ' '"),
        ("a\0b", "must be a path without zero bytes"),
        ("bad\udcff", "must be text in UTF-8"),
        ("s3://bucket/run", "must be a path: object stores and servers are no folders"),
        ("x/" + "ä" * 128, "must hold no name of more than 255 bytes, and one has 256"),
        ("/" + "x/" * 2100, "must be no path of more than 3968 bytes"),
        ("~nobody-there/x", r"must begin with the name of a user there is.*Or write \./~nobody"),
    ],
)
def test_paths_that_cannot_be_meant_are_refused(given: str, rule: str) -> None:
    with pytest.raises(UserError, match=f"--out: {rule}"):
        named_place(given, "--out")


def test_the_home_folder_in_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert named_place("~/x", "--out") == tmp_path / "home" / "x"
    (tmp_path / "~").mkdir()
    assert named_place("~/x", "--out") == Path("~/x")


def test_nothing_is_written_for_a_refused_path(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits", "--out", "s3://bucket/run"]) == WRONG
    assert "--out: must be a path" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# --- variables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_blank_variables_are_unset(blank, spec, tmp_path, monkeypatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "BACKDOOR_CACHE"):
        monkeypatch.setenv(name, blank)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ray_address() is None
    assert cache_folder() == tmp_path / ".cache/backdoor-sweeps"
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", blank)
    paths = create_results(spec, tmp_path / "r", ["sweeps"])
    assert read_sweep(paths)["tracking"]["uri"] == f"sqlite:///{tmp_path}/r/mlflow.db"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("./mlruns", "must be a tracking store that MLflow has"),
        ("file:///x", "must be a tracking store that MLflow has"),
        ("'sqlite:///x.db'", "must be a tracking store that MLflow has"),
        ("http://", "must be an address of the form"),
        ("http://host:port", "must be an address of the form"),
        ("sqlite://", "must be a file: what a sqlite store in memory holds is lost"),
    ],
)
def test_the_store_of_the_environment_passes_the_checks_of_the_spec(
    value, rule, spec, tmp_path, monkeypatch
) -> None:
    with pytest.raises(UserError, match=f"tracking.uri: {rule}"):
        small_spec(tracking={"uri": value})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", value)
    with pytest.raises(UserError, match=f"MLFLOW_TRACKING_URI {rule}"):
        create_results(spec, tmp_path / "r", ["sweeps"])
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("value", ["http://10.0.0.1:8265", "host", "host:99999", "ray://me:pw@h:1"])
def test_wrong_forms_of_ray_address_name_the_variable(value: str) -> None:
    with pytest.raises(UserError, match=r"RAY_ADDRESS must be HOST:PORT, ray://HOST:PORT") as told:
        ray_address({"RAY_ADDRESS": value})
    assert "pw" not in str(told.value)


def test_ray_address_as_it_may_be() -> None:
    for value in ("auto", "10.0.0.1:6379", "ray://head.local:10001", "[::1]:6379"):
        assert ray_address({"RAY_ADDRESS": f" {value} "}) == value
    assert ray_address({"RAY_ADDRESS": "local"}) is None


def test_the_cache_is_no_address(monkeypatch) -> None:
    monkeypatch.setenv("BACKDOOR_CACHE", "s3://bucket")
    with pytest.raises(UserError, match="BACKDOOR_CACHE must be a path on this machine"):
        cache_folder()
    error = UserError(Mistake("BACKDOOR_CACHE", "must be a folder", 1, "Set it."))
    assert str(error.inside("data")).startswith("BACKDOOR_CACHE must")


# --- links, modes and disks ----------------------------------------------------------------------


def test_links_in_a_results_folder_are_replaced_or_refused(tmp_path: Path) -> None:
    mine, root = tmp_path / "mine", tmp_path / "stranger"
    mine.write_text("precious")
    root.mkdir()
    for name in ("spec.yaml", "region.json", "mirror.log", ".lock"):
        (root / name).symlink_to(mine)
    write_atomic(root / "spec.yaml", b"a: 1", follow=False)
    write_json(root / "region.json", {})
    new_private(root / "mirror.log").close()
    with pytest.raises(UserError, match=r"\.lock: must not be a link"), locked(root / ".lock"):
        pass
    (root / ".lock").unlink()
    (tmp_path / "elsewhere").mkdir()
    (root / "ledger").symlink_to(tmp_path / "elsewhere")
    rule = r"ledger: must not be a link.*link the whole folder"
    with pytest.raises(UserError, match=rule), locked(root / ".lock"):
        pass
    assert mine.read_text() == "precious" and not list((tmp_path / "elsewhere").iterdir())
    assert not any((root / name).is_symlink() for name in ("spec.yaml", "region.json"))


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real/ledger").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with locked(tmp_path / "link/.lock"):
        write_json(tmp_path / "link/region.json", {})
    assert (tmp_path / "real/region.json").is_file()


def test_a_store_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "cookies.db").write_bytes(b"SQLite format 3\0")
    (tmp_path / "mlflow.db").symlink_to("cookies.db")
    paths = SweepPaths(tmp_path)
    with pytest.raises(Exception, match="must not be a link"):
        refuse_linked_store(sqlite_uri(paths.own_store), paths)
    refuse_linked_store(f"sqlite:///{tmp_path}/cookies.db", paths)


def test_files_that_were_private_stay_private(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {}, mode=0o600)
    write_json(tmp_path / "a", {"b": 1})
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    new_private(tmp_path / "mirror.log").close()
    assert stat.S_IMODE((tmp_path / "mirror.log").stat().st_mode) == 0o600


def test_a_full_disk_names_the_file_and_what_helps(tmp_path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as told:
        write_json(tmp_path / "region.json", {})
    assert os_error_line(told.value) == (
        f"{tmp_path}/region.json: No space left on device. Free space on its disk, then repeat the "
        "command; what is recorded stays."
    )
    assert not list(tmp_path.iterdir())


def test_region_and_report_of_a_folder_that_is_read_only(spec, tmp_path, monkeypatch, capsys) -> None:  # fmt: skip
    paths = create_results(spec, tmp_path / "r", ["sweeps"])
    before = sorted(paths.root.rglob("*"))

    def read_only(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("sweeps.answer.write.write_json", read_only)
        assert main(["region", str(paths.root)]) == FINE
        told = capsys.readouterr()
        assert f"note: {paths.region} was not written (Read-only file system)" in told.err
        assert "Recommended: none." in told.out
        assert main(["report", str(paths.root), "-o", str(tmp_path / "r.html")]) == FINE
    assert (tmp_path / "r.html").is_file() and sorted(paths.root.rglob("*")) == before


# --- the command line ----------------------------------------------------------------------------


def test_a_secret_on_the_command_line_begins_again_without_it(monkeypatch, capsys) -> None:
    uri, called = "postgresql://me:hush@host/db", []
    words = ["sweeps", "run", "digits", "--set", f"tracking.uri={uri}"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", *words])
    monkeypatch.setattr(os, "execve", lambda *given: called.append(given))
    restart({})
    (program, arguments, environ) = called[0]
    assert program == sys.executable
    assert arguments[3:] == [*words[1:-1], "tracking.uri=postgresql://me:***@host/db"]
    assert environ["MLFLOW_TRACKING_URI"] == uri
    assert "note: the password of postgresql://me:***@host/db was on" in capsys.readouterr().err


def test_arguments_with_and_without_secrets() -> None:
    uri, bare = "http://me:hush@host", "http://me:***@host"
    for given, kept in (
        ([f"--uri={uri}"], [f"--uri={bare}"]),
        (["--uri", uri], ["--uri", bare]),
        ([f"--set=tracking='{uri}'"], [f"--set=tracking='{bare}'"]),
    ):
        assert without_secrets(given) == (kept, uri)
    for plain in (["--out", uri], ["--uri", bare], ["--set", "seeds=3"], []):
        assert without_secrets(plain) == (plain, None)


def test_an_ascii_locale_reads_and_prints_other_letters(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONUTF8", "PYTHONIOENCODING")}
    environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, "-m", "sweeps.cli", "init", "umläut.yaml"]
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    ended = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "umläut.yaml is a commented spec" in ended.stderr.decode()
    assert [file.name for file in tmp_path.iterdir()] == ["umläut.yaml"]


def test_a_folder_that_is_there_is_opened_whatever_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "bad\udcff"
    folder.mkdir()
    (folder / "sweep.json").write_text("{}")
    assert open_results(folder).root == folder
    with pytest.raises(UserError, match="DIR must be a path: object stores"):
        open_results("s3://bucket/run")


def test_the_missing_password_names_the_variable(tmp_path: Path) -> None:
    sweep = {"tracking": {"uri": "http://me:***@host:5000"}}
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI must be the whole address of http"):
        tracking_uri(sweep, SweepPaths(tmp_path))
