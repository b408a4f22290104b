"""What was learnt: where clean accuracy stays high and every attack of the panel fails."""
