"""The final model: one more training at a chosen point, compared with the sweep."""
