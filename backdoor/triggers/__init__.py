"""Triggers: what the attacker stamps on images. One file, one kind.

A trigger is a frozen dataclass derived from `Trigger`. Its fields are its settings, `kind` is its
name in a spec, and `stamp` is the only method that it must implement. The contract test of all
triggers is `tests/backdoor/test_trigger_contract.py`.
"""

from backdoor.triggers.base import Trigger

__all__ = ["Trigger"]
