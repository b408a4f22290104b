"""Errors of the operating system in one line: what could not be done where, and what helps."""

from __future__ import annotations

import errno

#: What helps, by the number of the error.
REMEDIES = {
    errno.ENOSPC: "Free space on its disk, then repeat the command; what is recorded stays.",
    errno.EDQUOT: "Free space within your quota, then repeat the command; what is recorded stays.",
    errno.EROFS: "Its disk is read-only: name a place that can be written.",
    errno.EACCES: "Ask for access, or name another place.",
    errno.EPERM: "Ask for access, or name another place.",
    errno.ENOENT: "Check the path; a folder on it is missing.",
    errno.ENOTDIR: "Check the path; a part of it is no folder.",
    errno.EISDIR: "It is a folder: name a file.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "It is a link, or links on the path lead in a circle: remove it.",
    errno.EEXIST: "Choose another name.",
    errno.EMFILE: "Raise the limit of open files, `ulimit -n`.",
    errno.ENFILE: "End other programs: this machine has too many open files.",
    errno.ENOMEM: "End other programs, or ask for smaller models or fewer at a time.",
    errno.EIO: "The disk or its network has failed; check it, then repeat the command.",
    errno.ESTALE: "The network disk has changed; mount it again, then repeat the command.",
    errno.EFBIG: "Its disk takes no file of this size: name another place.",
}


def os_error_line(error: OSError) -> str:
    """`error` as PLACE: REASON. REMEDY"""
    reason = error.strerror or str(error) or type(error).__name__
    if "temporary directory" in reason:  # Python tried them all
        return f"{reason}. Set TMPDIR to a folder that can be written."
    place = f"{error.filename}: " if error.filename else ""
    remedy = REMEDIES.get(error.errno or 0)
    return f"{place}{reason}" + (f". {remedy}" if remedy else "")
