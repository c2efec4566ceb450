"""Columns of a fit's row that say how good its estimates are; ``scores`` computes them.

Apart, for those who need the names and no NumPy.
"""

OF_IMAGES = ("nrmse", "ncc", "dynamic_nrmse", "spot_angle_error")
MEASURES = ("parameter_error", "ari", "imputation_error", *OF_IMAGES)

HIGHER_IS_BETTER = frozenset({"ari", "ncc"})
"""Those of which 1 is the best; of the others, 0."""
