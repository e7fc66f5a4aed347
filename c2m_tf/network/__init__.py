"""The networks, and the grid that matching works on; this file imports no Keras."""

FEATURE_STRIDE = 4  # side of a cell in pixels
PATCH = 3  # side of a matched patch in cells
# Scores of matches up to which a single-image result is shown alone, and from which on the restoration network's is.
BLEND_FROM, BLEND_TO = 0.3, 0.6
