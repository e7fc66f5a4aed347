"""The grid that matching works on: cells of 4x4 pixels, patches of 3x3 cells."""

FEATURE_STRIDE = 4  # pixels a side of a cell
PATCH = 3  # cells a side of what is matched
