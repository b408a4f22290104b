"""How exactly a distance to a threshold counts."""

#: Decimal places of a margin: 90 of 450 is 0.2, whatever floating point makes of it.
DIGITS = 12
