"""Which trials end before their last epoch, and why.

`rules`: what the rules of Ray Tune may stop. `predictor`: learns which verdicts are certain before
the end; `limits`: the result, by which a worker stops trials; `audit`: how often it was wrong.
"""
