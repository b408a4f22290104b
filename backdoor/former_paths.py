"""Former import paths that README or a base class once offered to users' own kinds still work.

`from backdoor.schema import Count` gives the same object as `backdoor.settings.schema`. Only paths
that were offered are listed; everything else is imported from its present module.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

#: Former path → present path.
FORMER_PATHS = {
    "backdoor.bank": "backdoor.image_store.store",
    "backdoor.data": "backdoor.datasets.source",
    "backdoor.features": "backdoor.architectures.frozen_features",
    "backdoor.model": "backdoor.export",
    "backdoor.others": "backdoor.triggers.donors",
    "backdoor.pictures": "backdoor.triggers.pictures",
    "backdoor.registry": "backdoor.settings.registry",
    "backdoor.schema": "backdoor.settings.schema",
    "backdoor.userfile": "backdoor.settings.user_file",
    "backdoor.weights": "backdoor.architectures.pretrained",
    "sweeps.runners.recorded": "sweeps.runners.recorded_grid",
    "sweeps.start": "sweeps.results.create",
    "sweeps.sweep": "sweeps.scheduling.loop",
}


#: Present module → former name → present name, of what README, a base class or its module offered.
#: A module has its former names after it has been imported by its former path.
FORMER_NAMES = {
    "backdoor.image_store.store": {"Bank": "ImageStore"},
    "backdoor.settings.schema": {"tidy": "round_significant"},
    "backdoor.triggers.donors": {"Others": "DonorImages"},
    "sweeps.scheduling.loop": {"run_sweep": "run_search"},
}


class FormerPaths(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module under its former path and returns the present module."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in FORMER_PATHS:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        present = importlib.import_module(FORMER_PATHS[module.__name__])
        for former, name in FORMER_NAMES.get(present.__name__, {}).items():
            setattr(present, former, getattr(present, name))
        # The import statement returns what is in `sys.modules` afterwards.
        sys.modules[module.__name__] = present


def install() -> None:
    """Makes the former paths importable. Calling it again does nothing."""
    if not any(isinstance(finder, FormerPaths) for finder in sys.meta_path):
        sys.meta_path.append(FormerPaths())
