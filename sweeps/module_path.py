"""`python -m sweeps.cli` imports modules from where `sweeps` does: PYTHONPATH, and installed ones.

Python puts the current folder first on the path of `-m`, so that a file `torch.py` of whoever wrote
that folder would be run. This module takes it off again, before anything but Python's own modules
is imported; it stays where our own packages lie in it, and where PYTHONPATH names it.
"""

import os
import sys

COMMAND = "sweeps.cli"


def leave_current_folder() -> None:
    """Takes the current folder off the path, if this process is `python -m sweeps.cli`."""
    # While the packages of a module are imported for `-m`, its name is not known yet.
    asked = sys.argv[:1] == ["-m"] and COMMAND in sys.orig_argv
    if not asked or sys.flags.safe_path or not sys.path:
        return
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with_links = os.path.realpath(sys.path[0] or os.curdir)
    if with_links == os.path.realpath(os.curdir) != os.path.realpath(root):
        del sys.path[0]


leave_current_folder()
