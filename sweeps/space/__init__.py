"""What a section of a spec may take, as a tree of factors, as a grid and as a unit cube."""
