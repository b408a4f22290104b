"""The values that a section of a spec allows: as branches, as a grid, as rows, as a unit cube."""
