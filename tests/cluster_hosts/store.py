"""MLflow on PostgreSQL, on a host of its own in a lab."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from cluster_hosts.lab import HOME, Host, Lab
from cluster_hosts.namespaces import wait_for

PORT = 5000
_DATA = "/tmp/postgres"
#: Debian keeps PostgreSQL's programs off the PATH.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_IDS = (
    "import json, sys\n"
    "from mlflow import MlflowClient\n"
    "client, page, found = MlflowClient(sys.argv[1]), None, []\n"
    "(experiment,) = [e for e in client.search_experiments() if e.name != 'Default']\n"
    "while page != '':\n"
    "    runs = client.search_runs([experiment.experiment_id], \"tags.trial_id != ''\", page_token=page)\n"
    "    found += [[run.data.tags['trial_id'], run.info.status] for run in runs]\n"
    "    page = runs.token or ''\n"
    "print(json.dumps(found))\n"
)


def _program(name: str) -> str | None:
    return shutil.which(name, path=":".join([*map(str, _PROGRAMS), "/usr/local/bin", "/usr/bin"]))


class Store:
    """A host with MLflow's server. kind: the database under it."""

    def __init__(self, lab: Lab, name: str = "store") -> None:
        self.host = lab.host(name)
        self.uri = f"http://{self.host.ip}:{PORT}"
        self.kind, backend = self._database()
        self.log = self.host.path(f"{HOME}/mlflow.log")
        with self.log.open("w") as log:
            self.host.start(
                sys.executable, "-m", "mlflow", "server", f"--backend-store-uri={backend}",
                f"--host={self.host.ip}", f"--port={PORT}", "--workers=1",
                f"--artifacts-destination={HOME}/artifacts", f"--allowed-hosts={self.host.ip}:*",
                environ={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it answers."""
        call = f"from urllib.request import urlopen; urlopen('{self.uri}/health', timeout=5)"
        try:
            wait_for(
                "MLflow",
                lambda: self.host.run(sys.executable, "-S", "-c", call).returncode == 0,
                120,
                0.5,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None

    def runs(self, client: Host) -> list[tuple[str, str]]:
        """Trial id and state of each run of the only experiment, as a client sees them."""
        done = client.run(sys.executable, "-W", "ignore", "-c", _IDS, self.uri)
        assert done.returncode == 0, done.stderr
        return [(trial, state) for trial, state in json.loads(done.stdout)]

    def _database(self) -> tuple[str, str]:
        """Its kind and address: PostgreSQL where this machine has it, else a file."""
        initdb, postgres = _program("initdb"), _program("postgres")
        if initdb is None or postgres is None or importlib.util.find_spec("psycopg2") is None:
            return "SQLite", f"sqlite:///{HOME}/mlflow.db"
        # It refuses to be run by root.
        self.host.shell(
            f"install -d -o nobody -m 700 {_DATA}\n"
            f"{_NOBODY} {shlex.quote(initdb)} -D {_DATA} -A trust -U mlflow -E UTF8 --no-sync "
            f"--locale=C > {DISK_LOG} 2>&1 || {{ cat {DISK_LOG}; exit 1; }}"
        )
        words = ["-D", _DATA, "-k", _DATA, "-c", "listen_addresses=127.0.0.1", "-F"]
        with self.host.path(DISK_LOG).open("a") as log:
            self.host.start(*_NOBODY.split(), postgres, *words, stdout=log, stderr=log)
        log_file = self.host.path(DISK_LOG)
        wait_for("PostgreSQL", lambda: "ready to accept connections" in log_file.read_text(), 60)
        return "PostgreSQL", "postgresql+psycopg2://mlflow@127.0.0.1/postgres"


DISK_LOG = "/tmp/postgres.log"
_NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups env -C /tmp"
