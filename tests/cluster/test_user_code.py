"""Which packages of users are sent to a cluster, what of them, and what is refused before."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ray.job_config import JobConfig
from small import SMALL

from backdoor.errors import UserError
from backdoor.settings import sent_package
from backdoor.settings.sent_package import Package
from cluster.on_head import lacking
from cluster.payload import Payload
from cluster.user_code import packages_at
from sweeps.cli import WRONG, job_packages, jobs
from sweeps.cli.main import main
from sweeps.runners import sent_code
from sweeps.runners.ray_session import ray_session

KIND = (
    "from dataclasses import dataclass\n"
    "from backdoor.triggers.patch import Patch\n"
    "@dataclass(frozen=True)\nclass Mine(Patch):\n    pass\n"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a package, a module and things that are not sent; forgets what is imported."""
    folder = tmp_path / "code"
    for name, text in {
        "sent_pack/__init__.py": "",
        "sent_pack/stamps.py": "import sent_help\n" + KIND,
        "sent_pack/pattern.txt": "0101",
        "sent_pack/.secret": "hidden",
        "sent_pack/.git/config": "hidden",
        "sent_pack/__pycache__/stamps.pyc": "cached",
        "sent_help.py": "SIZE = 2\n",
        "setup.py": "",
        "conftest.py": "",
        "notes.md": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "sent_pack" / "weights.bin").write_bytes(bytes(3 * 2**20))
    yield folder
    for name in [name for name in sys.modules if name.startswith("sent_")]:
        if name != "sent_code":
            del sys.modules[name]


def refused(*places: Path | str, named=()) -> str:
    with pytest.raises(UserError) as error:
        packages_at([str(place) for place in places], named)
    return str(error.value)


def test_a_package_goes_whole_without_what_is_no_code(home, tmp_path) -> None:
    (package,) = packages_at([str(home / "sent_pack")])
    names = ["sent_pack/__init__.py", "sent_pack/pattern.txt", "sent_pack/stamps.py"]
    assert sorted(package.files) == names
    assert sorted(package.left) == ["1 cached file", "2 hidden files", "sent_pack/weights.bin (3.0 MB)"] or sorted(package.left) == ["1 cached file", "2 hidden files", "weights.bin (3.0 MB)"]  # fmt: skip
    payload = Payload({}, users=[package]).write(tmp_path)
    assert sorted(str(p.relative_to(payload)) for p in (payload / "sent_pack").rglob("*")) == names


def test_folders_of_packages_modules_and_namespace_packages(home) -> None:
    assert [p.name for p in packages_at([str(home)])] == ["sent_pack", "sent_help"]
    assert [p.name for p in packages_at([str(home / "sent_help.py"), str(home)])] == ["sent_help", "sent_pack"]  # fmt: skip
    (home / "sent_pack" / "__init__.py").unlink()
    assert [p.name for p in packages_at([str(home)], {"sent_pack"})] == ["sent_pack", "sent_help"]
    assert [p.name for p in packages_at([str(home / "sent_pack")], {"sent_pack"})] == ["sent_pack"]
    os.symlink(home / "sent_pack", home / "sent_pack" / "again")  # a circle
    (package,) = packages_at([str(home / "sent_pack")], {"sent_pack"})
    assert len(package.files) == 2


def test_everything_that_cannot_be_sent_is_said_at_once(home, tmp_path) -> None:
    for name in ("numpy", "json", "sweeps", "not-a-name"):
        (home / name).mkdir()
        (home / name / "__init__.py").touch()
    (tmp_path / "other" / "sent_pack").mkdir(parents=True)
    (tmp_path / "other" / "sent_pack" / "__init__.py").touch()
    (tmp_path / "empty").mkdir()
    names = ("numpy", "json", "sweeps", "not-a-name", "sent_pack", "missing", "notes.md")
    text = refused(*(home / name for name in names), tmp_path / "other", tmp_path / "empty")
    for part in (
        f"--packages: must not be called numpy, as the installed library numpy is, but got '{home}/numpy'. Rename it",
        "must not be called json, as a module of Python is",
        "must not be called sweeps, as a package of this project is",
        f"must have a name that Python can import, but got '{home}/not-a-name'",
        f"must not have two of the name sent_pack, but got '{tmp_path}/other/sent_pack'. One lies in {home}/sent_pack",
        f"must exist, but got '{home}/missing'",
        f"must be a folder or a .py file, but got '{home}/notes.md'",
        f"must hold a package or a module, but got '{tmp_path}/empty'. Name the folder of a package",
    ):  # fmt: skip
        assert part in text


def test_too_large(home, monkeypatch) -> None:
    monkeypatch.setattr(sent_package, "MOST", 2 * 2**20)
    (home / "sent_pack" / "huge.py").write_text("#" * 3 * 2**20)
    text = refused(home)
    assert (
        "must hold at most 2 MB in all, but got '3.0 MB'. The largest is sent_pack with 3.0 MB"
        in text
    )


# --- what a submitted spec needs ---------------------------------------------------------------


@pytest.fixture
def spec(tmp_path):
    attack = {"trigger": "sent_pack.stamps:Mine", "poison_rate": [0, 0.03]}
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "attack": attack}))
    return str(file)


class Cluster:
    """Stands for `Jobs`: what it was sent, and what it lacks."""

    def lacks(self, payload, modules):
        self.asked = list(modules)
        return self.asked


def submit(monkeypatch, *arguments: str) -> tuple[int, Cluster]:
    cluster = Cluster()
    monkeypatch.setattr(jobs, "connect", lambda args: cluster)
    return main(["job", "submit", *arguments]), cluster


def test_code_that_is_neither_sent_nor_there_is_refused(home, spec, monkeypatch, capsys) -> None:
    code, _ = submit(monkeypatch, spec)
    err = capsys.readouterr().err
    assert code == WRONG and "must be importable as module:Class" in err
    assert "To send it with the job, add --packages FOLDER." in err
    # The package alone: what it imports lies beside it, and is not found.
    code, cluster = submit(monkeypatch, spec, "--packages", str(home / "sent_pack"))
    assert code == WRONG and "No module named 'sent_help'" in capsys.readouterr().err
    monkeypatch.syspath_prepend(str(home))
    code, cluster = submit(monkeypatch, spec, "--packages", str(home / "sent_pack"))
    err = capsys.readouterr().err
    assert code == WRONG and cluster.asked == ["sent_help"]
    assert f"sent_help: must be installed on the cluster or sent. Send it: add --packages {home}/sent_help.py." in err  # fmt: skip
    code, cluster = submit(monkeypatch, spec)
    err = capsys.readouterr().err
    assert code == WRONG and cluster.asked == ["sent_help", "sent_pack"]
    assert f"sent_pack.stamps:Mine: must be installed on the cluster or sent. Send it: add --packages {home}/sent_pack." in err  # fmt: skip


def test_what_is_sent_is_said(home, capsys) -> None:
    job_packages.say_sent(packages_at([str(home)]))
    err = capsys.readouterr().err
    assert f"sends sent_pack from {home}/sent_pack: 3 files, 0.0 MB; left out: " in err
    assert f"sends sent_help from {home}/sent_help.py: 1 file, 0.0 MB\n" in err


def test_flags_that_need_each_other(spec, monkeypatch, capsys) -> None:
    code, _ = submit(monkeypatch, spec, "--accept-changed-code")
    assert code == WRONG
    assert "--accept-changed-code: must be given with --resume JOB" in capsys.readouterr().err


def test_the_head_says_what_it_lacks() -> None:
    assert lacking(["json", "numpy", "no_such_module"]) == ["no_such_module"]


# --- what Ray sends for `sweeps run` -----------------------------------------------------------


def test_a_cluster_is_sent_the_package_and_what_it_imports(
    home, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.syspath_prepend(str(home))
    kinds = ["sent_pack.stamps:Mine"]
    found = {}
    for with_cwd in (True, False):
        with sent_code.job_config(kinds, "10.0.0.1:6379", with_cwd) as config:
            sent = config.runtime_env["py_modules"]
            found = {
                Path(p).name: sorted(str(f.relative_to(p)) for f in Path(p).rglob("*"))
                for p in sent
            }
            assert config._client_job is False  # else Ray would send nothing
            assert (type(config) is JobConfig) is with_cwd
        assert found == {
            "sent_help.py": [],
            "sent_pack": ["__init__.py", "pattern.txt", "stamps.py"],
        }
        assert not Path(sent[0]).exists()
    err = capsys.readouterr().err
    assert f"note: sends sent_pack to the cluster, from {home}/sent_pack" in err
    assert "note: of sent_pack not sent: " in err and "weights.bin (3.0 MB)" in err
    with sent_code.job_config(kinds, None, False) as config:  # workers of this machine
        assert not config.runtime_env and config._py_driver_sys_path == [str(home)]
    with sent_code.job_config([], "10.0.0.1:6379", False) as config:
        assert not config.runtime_env and config._client_job


def test_what_cannot_be_sent_is_refused_and_what_is_doubtful_said(home, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(home))
    (home / "sent_compiled.so").touch()
    (home / "sent_pack" / "fast.so").touch()
    monkeypatch.setattr(sent_package, "MOST", 100)
    bare = type(sys)("sent_compiled")
    bare.__file__ = str(home / "sent_compiled.so")
    monkeypatch.setitem(sys.modules, "sent_compiled", bare)
    with pytest.raises(UserError) as error:
        sent_code.code_to_send(["sent_compiled:K", "sent_nowhere:K", "sent_pack.stamps:Mine"])
    text = str(error.value)
    assert f"sent_compiled:K: must be of a package or module with .py files, so that it can be sent to the cluster, but got '{home}/sent_compiled.so'" in text  # fmt: skip
    assert "sent_nowhere:K: must be of a package" in text and "but got 'no file'" in text
    assert "code that is sent to the cluster: must hold at most 0 MB in all, but got" in text
    monkeypatch.setattr(sent_package, "MOST", 2**20)
    notes = sent_code.code_to_send(["sent_pack.stamps:Mine", "numpy:ndarray"]).notes
    assert any("sent_pack has compiled code (sent_pack/fast.so)" in note for note in notes)
    assert any("numpy:ndarray is of an installed package" in note for note in notes)
    monkeypatch.setenv(sent_code.IN_A_JOB, "{}")
    monkeypatch.chdir(home)
    assert sent_code.code_to_send(["sent_pack.stamps:Mine"]).packages == ()


def test_a_ray_of_this_process_need_not_be_sent_what_cannot_be_sent(home, monkeypatch) -> None:
    head = SimpleNamespace(head=True)
    monkeypatch.setattr("ray._private.worker._global_node", head)
    assert sent_code.note_not_sent(["sent_nowhere:K"]) is None
    head.head = False
    with pytest.raises(UserError, match="sent_nowhere:K: must be of a package"):
        sent_code.note_not_sent(["sent_nowhere:K"])


def test_kinds_of_a_spec_and_no_other_texts(home, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sent_loaded", type(sys)("sent_loaded"))
    sys.modules["sent_loaded"].Kind = Package
    document = {
        "data": {"kind": "image_folder", "root": "C:folder"},
        "attack": {"trigger": ["sine", "sent_loaded:Kind+sent_loaded:missing"]},
        "defence": {"architecture": {"kind": "backdoor.architectures.linear:Linear"}},
    }
    assert sent_code.named_kinds(document) == ["sent_loaded:Kind"]


@pytest.mark.slow
def test_workers_of_this_machine_import_from_where_this_process_does(home, monkeypatch) -> None:
    """Also from a folder that was put on the path later, as in a notebook."""
    import ray

    monkeypatch.syspath_prepend(str(home))

    def place() -> str:
        import sent_pack

        return str(sent_pack.__file__)

    with ray_session(1, ["sent_pack.stamps:Mine"]):
        assert ray.get(ray.remote(place).remote()) == str(home / "sent_pack" / "__init__.py")
