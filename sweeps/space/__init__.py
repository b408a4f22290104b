"""The values that a section of a spec allows: as branches, as a grid, as rows, as a unit cube.

A point of a space has three forms:

- an assignment: nested plain values, as in a spec (`Assignment` of `space`);
- a row: numbers and codes, (columns,), that models work on (`encoder`);
- a position in the unit cube, of which equal volumes are equal shares of the space (`unit_cube`).

Between assignments and rows are the leaf values of a branch:

    assignment -> branch, leaf values   `Space.locate`; back: `Branch.assignment`
    branch, leaf values -> row          `SpaceEncoder.encode`
    row -> assignment                   `SpaceEncoder.decode`
    position -> assignment              `unit_cube.point_at`
    position -> row                     `SpaceEncoder.at`; `near` is faster and does not round

No function leads back to a position. The two cubes differ: that of `point_at` has axes for what is
free only; that of `SpaceEncoder.at` has one for the branch and one for each leaf of the branch with
most leaves (`SpaceEncoder.axes`).
"""
