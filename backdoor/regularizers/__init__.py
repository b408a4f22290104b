"""Regularizers: what the defender changes in each step of training. One file, one kind.

The loss of a batch is mean cross-entropy + `strength` x `penalty`. As the strength is outside the
penalty, one pack can train trials of many strengths. A kind is a frozen dataclass derived from
`Regularizer` with a `kind` and its settings; the folder is scanned, so nothing is registered. It
overrides one of three methods:

    unit_penalty   if it needs logits and labels only; all engines support it
    prepare        before the forward pass: mix the batch, add noise, ask for hidden layers
    penalty        after the forward pass, with everything that `Step` offers

Trials of kinds with `prepare` or `penalty` are trained by the serial engine. How several kinds act
together, see `backdoor.regularizers.several`.

A new kind runs by its mere existence under tests/backdoor/test_regularizer_contract.py (penalty,
gradient and a whole step), test_regularizer_steps.py (its random numbers, beside other kinds, in a
training) and tests/sweeps/test_every_kind.py (in a spec). Only a kind that cannot be switched off
by its `dial` is named in the contract test, as one to which that does not apply. A test of its
formula belongs in test_regularizer_formulas.py, by hand.
"""

from backdoor.regularizers.base import Regularizer

__all__ = ["Regularizer"]
