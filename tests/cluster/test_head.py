"""What keeps this machine from a cluster is reported at once; the token is sent nowhere else.

Small HTTP servers answer as heads do, and record the requests.
"""

import contextlib
import http.server
import importlib.metadata
import json
import platform
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cluster.head
from backdoor.errors import UserError
from cluster.head import find_token, normal, reach
from sweeps.cli import WRONG
from sweeps.cli.main import main

ROOT = Path(__file__).parents[2]
RAY, PYTHON = importlib.metadata.version("ray"), platform.python_version()


class Server:
    """Serves path → (status, content, headers); `asked` keeps (method, path, Authorization)."""

    def __init__(self, answers):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.command, self.path, self.headers.get("Authorization")))
                status, content, headers = answers.get(self.path, (404, {}, {}))
                text = (
                    content.encode() if isinstance(content, str) else json.dumps(content).encode()
                )
                self.send_response(status)
                for item in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(*item)
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_PUT = do_GET  # noqa: N815  (http.server's names)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def serving(ray=RAY, python=PYTHON, mode="disabled", **others):
    server = Server({
        "/api/authentication_mode": (200, {"authentication_mode": mode}, {}),
        "/api/version": (200, {"ray_version": ray, "version": "4"}, {}),
        "/api/v0/cluster_metadata": (200, {"result": True, "data": {"pythonVersion": python}}, {}),
        **{f"/api/{name}": answer for name, answer in others.items()},
    })  # fmt: skip
    thread = threading.Thread(target=server.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        thread.join()
        server.server.server_close()


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("action", [["submit", "digits"], ["list"], ["stop", "x"]])
def test_other_versions_are_refused_both_named_and_nothing_is_sent(action, capsys) -> None:
    with serving(ray="2.40.0", python="3.9.18") as server:
        assert main(["job", *action, "--address", server.url]) == WRONG
    err = capsys.readouterr().err
    assert "2 mistakes" in err
    assert f"ray: must be the cluster's version of Ray (2.40.0, at {server.url}), but got '{RAY}'. Install the cluster's here (pip install 'ray[default]==2.40.0'), or ours there." in err  # fmt: skip
    assert f"python: must be as the cluster's version of Python (3.9.18, at {server.url}), but got '{PYTHON}'" in err  # fmt: skip
    assert {method for method, _, _ in server.asked} == {"GET"}


def test_the_last_number_of_python_may_differ() -> None:
    other = ".".join([*PYTHON.split(".")[:2], "99"])
    with serving(python=other) as server:
        cluster.head.refuse_other_versions(reach(server.url))
    assert server.asked, "they were compared"


def test_an_address_where_nothing_is(capsys) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert main(["job", "list", "--address", url]) == WRONG
    assert f"--address: must be the address of a running Ray head, but got '{url}'. Start one (`ray start --head`), or correct the address ([Errno 111] Connection refused)" in capsys.readouterr().err  # fmt: skip


def test_an_address_that_never_answers(monkeypatch) -> None:
    monkeypatch.setattr(cluster.head, "ANSWER_SECONDS", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(UserError, match="timed out"),
    ):
        reach(f"127.0.0.1:{mute.getsockname()[1]}")


def test_something_else_than_ray() -> None:
    with (
        serving(version=(200, "<html>", {})) as server,
        pytest.raises(UserError, match="not as Ray's"),
    ):
        reach(server.url)
    with serving(version=(500, "", {})) as server, pytest.raises(UserError, match="answers 500"):
        reach(server.url)


@pytest.mark.parametrize(
    "address", ["ray://h:10001", "h", "http://h", "http://h:x", "http://u:p@h:1", ""]
)
def test_addresses_that_are_none(address) -> None:
    with pytest.raises(UserError, match=r"--address: must be the address of Ray's Jobs API"):
        normal(address)


def test_a_host_and_a_port_will_do() -> None:
    assert normal("head:8265") == "http://head:8265"
    assert normal("https://head:8265/") == "https://head:8265"
    assert normal("[::1]:8265") == "http://[::1]:8265"


# --- the token ---------------------------------------------------------------------------------


def test_tokens_are_found_in_rays_order(own_home, monkeypatch) -> None:
    assert find_token() is None
    (own_home / ".ray").mkdir()
    (own_home / ".ray" / "auth_token").write_text("third\n")
    (own_home / "named").write_text(" second ")
    assert find_token().value == "third"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(own_home / "named"))
    assert find_token().value == "second"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "first")
    assert find_token().value == "first"
    assert "first" not in repr(find_token())


def test_a_token_file_that_is_not_there_or_holds_no_token(own_home, monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(own_home / "gone"))
    with pytest.raises(UserError, match="RAY_AUTH_TOKEN_PATH must name an existing file"):
        find_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "two\nlines of secret")
    with pytest.raises(UserError, match="must hold Ray's token as one line") as caught:
        find_token()
    assert "secret" not in str(caught.value)


def test_the_token_goes_only_where_it_is_asked_for_and_follows_no_redirection(monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cret")
    with serving() as server:
        assert reach(server.url).token is None
    assert [token for _, _, token in server.asked] == [None] * 3
    with serving() as thief:
        away = (302, "", {"Location": f"{thief.url}/api/version"})
        with serving(mode="token", version=away) as server, pytest.raises(UserError, match="302"):
            reach(server.url)
    assert server.asked == [("GET", "/api/authentication_mode", None), ("GET", "/api/version", "Bearer s3cret")]  # fmt: skip
    assert thief.asked == []


def test_an_open_cluster_reachable_ports_is_warned_of() -> None:
    from cluster.doctor import judge_head

    head = cluster.head.Head("http://10.0.0.1:8265", RAY, PYTHON, None)
    assert judge_head(head).level == "failure" and "asks for no token" in judge_head(head).says
    here = cluster.head.Head("http://127.0.0.1:8265", RAY, PYTHON, None)
    assert judge_head(here).level == "warning"


# --- what is sent, and the extra -----------------------------------------------------------------


@pytest.mark.parametrize("changes, said", [
    (["data.root=here"], "data.root: must be an absolute path on the cluster, or begin with ~/, but got 'here'"),
    (["tracking={uri: 'sqlite:///m.db'}"], "tracking.uri: must be absolute on a cluster, but got 'sqlite:///m.db'"),
    (["tracking='sqlite:///m.db'"], "tracking.uri: must be absolute on a cluster, but got 'sqlite:///m.db'"),
    (["seeds=-1"], "seeds"),
])  # fmt: skip
def test_a_spec_is_checked_before_the_cluster_is_asked(changes, said, capsys) -> None:
    sets = [part for change in changes for part in ("--set", change)]
    with serving() as server:
        assert main(["job", "submit", "mnist-pairs", *sets, "--address", server.url]) == WRONG
    assert said in capsys.readouterr().err and server.asked == []


@pytest.mark.parametrize("arguments, said", [
    ([], "SPEC must be given, or else --resume JOB"),
    (["digits", "--resume", "j"], "SPEC must be given, or else --resume JOB"),
    (["--resume", "j", "--set", "seeds=1"], "--set: cannot change a sweep that has begun"),
    (["digits", "--storage", "here"], "--storage: must be an absolute path on the cluster, or begin with ~/"),
])  # fmt: skip
def test_arguments_that_do_not_go_together(arguments, said, capsys) -> None:
    assert main(["job", "submit", *arguments, "--address", "127.0.0.1:9"]) == WRONG
    assert said in capsys.readouterr().err


def test_a_missing_extra_is_named() -> None:
    """A Python in which aiohttp cannot be imported, as with `ray[tune]` alone."""
    with serving() as server:
        code = (
            "import sys; sys.modules['aiohttp'] = None\n"
            "from sweeps.cli.main import main\n"
            f"sys.exit(main(['job', 'list', '--address', {server.url!r}]))"
        )
        done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                              capture_output=True, text=True)  # fmt: skip
    assert done.returncode == WRONG, done.stderr
    assert "ray: must be installed with its extra `default`" in done.stderr
    assert "pip install 'backdoor-sweeps[cluster]'" in done.stderr
