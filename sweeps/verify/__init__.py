"""Proving a region: freeze it, draw points, train fresh seeds, count.

A region can be sampled (`regions`): it is made of the points that a sweep tried (`point_draws`), or
of a model of the whole space (`model_draws`); `open_region` chooses. `plan` freezes one, with every
draw and every seed, before anything is trained; `transfer` reads the attacks outside the panel. The
trials run through the ordinary loop into a ledger of their own. `judge` says which draws pass and
what that proves; `answer` collects it, `verification_text` says it in words.
"""
