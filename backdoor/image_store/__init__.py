"""The images of a pack, each kept once: clean, stamped, augmented, or as frozen features."""
