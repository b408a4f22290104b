"""Regularizers: what the defender does to each step of the training. One file, one kind.

The loss of a batch is mean cross-entropy + `strength` x `penalty`; keeping the strength outside
lets one pack train trials of many strengths at once. A kind overrides one of three methods:

    unit_penalty   where logits and labels are all it looks at; every engine has them
    prepare        before the network sees the batch: mix it, disturb it, ask for hidden layers
    penalty        after the network answered, with all that `Step` shows

A trial of a kind with `prepare` or `penalty` is trained by the serial engine. Several kinds act
together as `backdoor.regularizers.several` says.
"""

from backdoor.regularizers.base import Regularizer

__all__ = ["Regularizer"]
