"""Passwords and tokens are in no file, log, process list or job; what needs them finds them."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from mirrored import until
from small import SMALL, small_spec

from backdoor.errors import UserError
from sweeps.addresses import hidden, lacks_secret, same_store, scrubbed, secrets_of
from sweeps.cli.job_payload import read_for_cluster
from sweeps.cli.main import main
from sweeps.cli.restarting import restart
from sweeps.mirror.process import _environment
from sweeps.mirror.tracking_store import TrackingUnreachable, other_store, tracking_warnings
from sweeps.results.create import create_results
from sweeps.results.tracking import command_without_secrets, same_tracking, without_secrets
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.tracking_uri import whole_uri

HUSH = "hush-7Kq"
DATABASE, BARE = f"postgresql://me:{HUSH}@host/db", "postgresql://me:***@host/db"
TOKEN = "ghp_abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        (DATABASE, BARE),
        ("postgresql+psycopg2://me:a/b?c#d@host", "postgresql+psycopg2://me:***@host"),
        ("http://me:a@b@host:80/x", "http://me:***@host:80/x"),
        ("http://:a@host", "http://:***@host"),
        (f"https://{TOKEN}@host", "https://***@host"),
        ("mysql://me@h/d?ssl=1&sslpassword=a%20b", "mysql://me@h/d?ssl=1&sslpassword=***"),
        ("http://h/x?access_token=a#api_key=b", "http://h/x?access_token=***#api_key=***"),
        ("mssql+pyodbc:///?odbc_connect=A%3DB%3BPWD%3Da", "mssql+pyodbc:///?odbc_connect=***"),
    ],
)
def test_addresses_without_their_secrets(uri: str, kept: str) -> None:
    assert hidden(uri) == kept == hidden(kept)
    assert secrets_of(uri) and not secrets_of(kept)
    assert lacks_secret(kept) and not lacks_secret(uri)
    assert same_store(uri, kept) and not same_store(uri, f"x{kept}")


@pytest.mark.parametrize(
    "uri",
    ["http://h:5000/a@b", "http://[::1]:5000/a@b", "https://me@host/", "sqlite:////a:b@c/d", "http://me:@h",
     "postgresql://h/d?sslkey=/a&passfile=/b", "databricks://scope:prefix", "a: b@c"],
)  # fmt: skip
def test_addresses_that_hold_none(uri: str) -> None:
    assert hidden(uri) == uri and secrets_of(uri) == []


def test_secrets_in_other_texts() -> None:
    text = f"cannot reach {DATABASE}/x as '{HUSH}' (see {DATABASE})"
    assert scrubbed(text, [DATABASE]) == f"cannot reach {BARE}/x as '***' (see {BARE})"
    error = TrackingUnreachable(DATABASE, f"no login with {HUSH} at {DATABASE}")
    assert HUSH not in f"{error}{error.reason}{error.uri}"


@pytest.mark.parametrize(
    "tracking", [DATABASE, {"uri": DATABASE}, {"uri": DATABASE, "runs": "point"}]
)
def test_a_folder_holds_no_secret(tracking, tmp_path, monkeypatch) -> None:  # fmt: skip
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    spec = small_spec(tracking=tracking)
    words = ["sweeps", "run", "--set", f"tracking.uri={DATABASE}", f"--set=tracking={{uri: {DATABASE}}}"]  # fmt: skip
    paths = create_results(spec, tmp_path / "r", words)
    for file in (file for file in paths.root.rglob("*") if file.is_file()):
        assert HUSH.encode() not in file.read_bytes(), file
    sweep = read_sweep(paths)
    assert sweep["tracking"]["uri"] == BARE
    assert sweep["command"].count("tracking.uri=postgresql://me:***@host/db") == 2
    for file in (paths.spec, paths.sweep):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert spec.tracking is not None and spec.tracking.uri == DATABASE
    assert _environment(DATABASE)["MLFLOW_TRACKING_URI"] == DATABASE
    assert list(tracking_warnings(sweep, paths, DATABASE)) == []
    (warning,) = tracking_warnings(sweep, paths, BARE)
    assert "MLFLOW_TRACKING_URI must be the whole address of postgresql://me:***@host/db" in warning
    assert "export MLFLOW_TRACKING_URI='postgresql://me:PASSWORD@host/db'" in warning


def test_a_secret_in_the_environment_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DATABASE)
    paths = create_results(small_spec(tracking={}), tmp_path / "r", ["sweeps"])
    assert read_sweep(paths)["tracking"]["uri"] == BARE
    assert "tracking: {}" in paths.spec.read_text()


def test_a_spec_that_leaves_the_secret_out_needs_the_variable(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    spec = small_spec(tracking=BARE)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI must be the whole address of"):
        create_results(spec, tmp_path / "r", ["sweeps"])
    assert not (tmp_path / "r").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DATABASE)
    create_results(spec, tmp_path / "r", ["sweeps"])


def test_where_a_secret_is_taken_from() -> None:
    uri, web = "MLFLOW_TRACKING_URI", "http://me:***@host:5000/x"
    assert whole_uri(BARE, {uri: f" {DATABASE} "}) == DATABASE
    assert whole_uri("postgresql://me:old@host/db", {uri: DATABASE}) == DATABASE, "a newer one"
    assert whole_uri("postgresql://me@host/db", {uri: DATABASE}) == DATABASE
    assert whole_uri("http://host:5000", {uri: DATABASE}) == "http://host:5000"
    login = {"MLFLOW_TRACKING_PASSWORD": "a/b"}
    assert whole_uri(web, login) == "http://me:a%2Fb@host:5000/x"
    assert whole_uri(web, {"MLFLOW_TRACKING_TOKEN": "t"}) == "http://host:5000/x"
    with pytest.raises(UserError, match="or set MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN"):
        whole_uri(web, {uri: DATABASE})


def test_specs_that_differ_in_their_secrets_alone() -> None:
    short, long, plain = {"tracking": DATABASE}, {"tracking": {"uri": BARE, "runs": "trial"}}, {}
    assert same_tracking(short, long) and same_tracking(plain, {"tracking": {}})
    assert not same_tracking(short, {"tracking": {"uri": DATABASE, "runs": "point"}})
    assert not same_tracking(short, {"tracking": "postgresql://me@other/db"})
    assert not same_tracking(plain, {"tracking": "none"})
    assert without_secrets(short) == {"tracking": BARE} and short["tracking"] == DATABASE
    assert command_without_secrets(["--set", 'tracking.uri="a\\u0062"'], short) == [
        "--set",
        f"tracking.uri={BARE}",
    ]


def test_folders_of_before_that_hold_a_secret_are_named(tmp_path) -> None:
    sweep = {"tracking": {"uri": DATABASE, "runs": "trial"}}
    (warning,) = tracking_warnings(sweep, SweepPaths(tmp_path), None)
    assert "sweep.json holds the password of postgresql://me:***@host/db" in warning
    assert HUSH not in warning


def test_refused_settings_are_shown_without_secrets() -> None:
    for tracking in ({"url": DATABASE}, {"uri": f"ftp://me:{HUSH}@host"}, [DATABASE], {"uri": [DATABASE]}):  # fmt: skip
        with pytest.raises(UserError) as told:
            small_spec(tracking=tracking)
        assert HUSH not in str(told.value) and "***" in str(told.value)


def test_a_job_is_sent_without_the_secret(tmp_path, capsys) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "tracking": DATABASE}))
    _, text = read_for_cluster(str(file), [])
    assert HUSH not in text and BARE in text
    assert "note: the password of tracking.uri is not sent" in capsys.readouterr().err


# --- a real sweep --------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[str]:
    """A gateway with nothing behind it, which takes no seconds; yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{made.server_port}"
        made.shutdown()


def process_list() -> str:
    """The command lines of all processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def test_a_real_sweep_shows_its_secret_nowhere(server: str, tmp_path: Path) -> None:
    """In a setting on the command line, which is the worst place for it."""
    spec = tmp_path / "s.yaml"
    spec.write_text(yaml.safe_dump({**SMALL, "seeds": 1, "tracking": {}}))
    uri, log = f"http://me:{HUSH}@{server}", tmp_path / "log"
    line = [sys.executable, "-m", "sweeps.cli", "run", str(spec), "--runner", "serial",
            "--out", str(tmp_path / "r"), "--set", f"tracking.uri={uri}"]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environ.pop("MLFLOW_TRACKING_URI", None)
    seen = []
    with (
        log.open("wb") as stream,
        subprocess.Popen(line, env=environ, cwd=tmp_path, stdout=stream, stderr=stream) as process,
    ):
        # It says so, and begins again without the secret, before it does anything else.
        until(lambda: "was on the command line" in log.read_text())
        until(lambda: HUSH not in process_list())
        while process.poll() is None and HUSH not in "".join(seen[-1:]):
            seen.append(process_list())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    assert not any(HUSH in shown for shown in [*seen, process_list()])
    assert process.returncode == 0, log.read_text()
    assert any("sweeps.mirror.follower" in shown for shown in seen), "the mirror ran"
    told = log.read_text()
    assert "note: the password of http://me:***@127.0.0.1" in told
    assert "Some results are not in MLflow yet: MLflow's store http://me:***@127.0.0.1" in told
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        assert HUSH.encode() not in file.read_bytes(), file
    mode = (tmp_path / "r/mirror.log").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    "change", ['tracking={uri: "ftp://u:hush@h"}', "traking.uri=ftp://u:hush@h"]
)
def test_any_password_on_the_command_line_is_noted(
    change: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sweeps", "check", "digits", "--set", change])
    restart({})
    assert "the password of ftp://u:***@h was on the command line" in capsys.readouterr().err


def test_check_refuses_the_store_that_run_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://u:hush@h")
    assert main(["check", "digits", "--set", "tracking={}"]) == 2
    assert "MLFLOW_TRACKING_URI must be a tracking store that MLflow has" in capsys.readouterr().err
    assert main(["check", "digits", "--set", "tracking=none"]) == 0


def test_a_variable_that_names_another_store_later_has_no_effect(tmp_path, monkeypatch) -> None:
    paths, there = SweepPaths(tmp_path), {"tracking": {"uri": "http://one:5000"}}
    for same in ("http://one:5000/", "no address", ""):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", same)
        assert other_store(there, paths) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@two:5000")
    note = str(other_store(there, paths))
    assert note.startswith("MLFLOW_TRACKING_URI names http://me:***@two:5000, but the first run ")
    assert "fixed its store: http://one:5000. The variable has no effect" in note
    assert other_store({"tracking": {"uri": None}}, paths) is None
