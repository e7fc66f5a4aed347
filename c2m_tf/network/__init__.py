"""The networks, and the grid that matching works on; this file imports no Keras."""

FEATURE_STRIDE = 4  # side of a cell in pixels
PATCH = 3  # side of a matched patch in cells
# Scores of matches up to which a single-image result is shown alone, and from which on the restoration network's is.
BLEND_FROM, BLEND_TO = 0.3, 0.6
# Sizes in which a mobile network searches a reference, relative to its own, and those in which matches are only refined.
REFERENCE_SCALES, REFINED_SCALES = (1.0, 0.84, 1.19), (0.92, 1.09)
