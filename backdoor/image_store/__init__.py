"""The images of a pack, held once: clean, stamped, augmented, or as frozen features."""
