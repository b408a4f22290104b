"""How many values settings may hold, whoever states them: no question needs more."""

#: Values of a document or mapping, each counted as often as it is reached.
MOST_VALUES = 50_000
#: Levels of lists and mappings.
DEEPEST = 50
#: Bits of a whole number that is still a number with a decimal point.
MOST_BITS = 1000
