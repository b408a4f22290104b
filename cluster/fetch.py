"""Copies a results folder from a cluster to this machine through the Jobs API alone.

A job on the cluster packs the folder into its log. The archive is checked against its checksum, no
path in it may leave the folder, and nothing in it is run or unpickled.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import uuid
from pathlib import Path, PurePosixPath

from backdoor.errors import Mistake, UserError
from cluster.head import ClusterError
from cluster.jobs import Jobs
from cluster.payload import Payload, Remote


def refuse_used_folder(out: Path) -> None:
    """Refuses a folder that has anything in it: nothing is overwritten."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        rule, remedy = "must be a new or empty folder", "Choose another --out."
        raise UserError(Mistake("--out", rule, str(out), remedy))


def fetch(jobs: Jobs, payload: Payload, results: Remote, out: Path) -> int:
    """Copies `results` from the cluster into the new folder `out`; the count of files."""
    refuse_used_folder(out)
    return unpack(jobs.ask(payload, "pack", results), out)


def unpack(archive: bytes, out: Path) -> int:
    """Unpacks a tar.gz into `out`, whole or not at all; the count of files.

    Raises:
        ClusterError: it is no archive, or holds anything but plain files inside the folder.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.tmp")
    scratch.mkdir()
    try:
        count = _extract(archive, scratch)
        if out.exists():
            out.rmdir()  # empty, or this raises
        scratch.rename(out)
        return count
    except (tarfile.TarError, EOFError) as error:
        raise ClusterError(f"what the cluster sent is no archive: {error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _extract(archive: bytes, folder: Path) -> int:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        room, count = shutil.disk_usage(folder).free, 0
        for member in members:
            target = folder / _inside(member)
            room -= member.size
            if room < 0:
                raise ClusterError(f"{folder.parent} has no room for the results")
            content = members.extractfile(member)
            assert content is not None  # it is a plain file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                shutil.copyfileobj(content, stream)
            count += 1
    return count


def _inside(member: tarfile.TarInfo) -> str:
    """The path of a member; `ClusterError` where it is no plain file within the folder."""
    path = PurePosixPath(member.name)
    strange = "\\" in member.name or "\0" in member.name or not path.parts
    if not member.isreg() or path.is_absolute() or ".." in path.parts or strange:
        raise ClusterError(
            f"the archive holds {member.name!r}, which is no file of a results folder"
        )
    return member.name
