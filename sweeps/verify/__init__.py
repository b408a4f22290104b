"""Proving a region: freeze it, draw points, train fresh seeds, count.

`regions` are regions that can be drawn from: the points that a sweep tried, or a model of the whole
space. `plan` freezes one, with every draw and every seed, before anything is trained; `transfer`
reads the attacks outside the panel. The trials run through the ordinary loop into a ledger of their
own. `judge` says which draws pass and what that proves; `answer` writes it, `text` says it.
"""
