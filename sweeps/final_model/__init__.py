"""The final model: one more training at a chosen point, held against the sweep."""
