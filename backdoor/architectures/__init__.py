"""Architectures: what is trained. One file, one kind.

An architecture says which engine trains it (`engine`) and which factors of a trial mean nothing
to it (`inactive`: a closed form has no learning rate); those are dropped from a trial's identity.
"""

from backdoor.architectures.base import TRAINING_FACTORS, Architecture, Shape

__all__ = ["TRAINING_FACTORS", "Architecture", "Shape"]
