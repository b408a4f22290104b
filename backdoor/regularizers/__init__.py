"""Regularizers: what the defender changes in each step of training. One file, one kind.

The loss of a batch is mean cross-entropy + `strength` x `penalty`. As the strength is outside the
penalty, one pack can train trials of many strengths. A kind overrides one of three methods:

    unit_penalty   if it needs logits and labels only; all engines support it
    prepare        before the forward pass: mix the batch, add noise, ask for hidden layers
    penalty        after the forward pass, with everything that `Step` offers

Trials of kinds with `prepare` or `penalty` are trained by the serial engine. How several kinds act
together, see `backdoor.regularizers.several`.
"""

from backdoor.regularizers.base import Regularizer

__all__ = ["Regularizer"]
