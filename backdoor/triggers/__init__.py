"""Triggers: how an image is marked. One file, one kind.

A trigger is a frozen dataclass derived from `Trigger`; its fields are its settings, its name in
a spec is `kind`, and `stamp` is all it has to write. The contract that each one must pass is
`tests/backdoor/test_trigger_contract.py`.
"""

from backdoor.triggers.base import Trigger

__all__ = ["Trigger"]
