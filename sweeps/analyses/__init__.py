"""What finished sweeps say beyond their region: `detectability`, `resistance`, `variance`,
`effects`, `persistence` and `influential`.

All read the ledger only. Each has a module that computes its figures, as plain values with a
documented schema; `measures_text` and `findings_text` write them for people.
"""
