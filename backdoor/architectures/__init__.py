"""Architectures: what is trained. One file, one kind.

An architecture says which engine trains it (`engine`) and which factors of a trial have no effect
on it (`inactive`: a closed form has no learning rate). Inactive factors are no part of a trial's
identity.
"""

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape

__all__ = ["TRAINING_FACTORS", "Architecture", "Shape"]
