"""Bounds, intervals and tests. Pure functions of numbers: nothing here knows a sweep."""
