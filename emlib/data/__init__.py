"""The views that models read: rows with holes, with limits, with covariates, and sequences."""

from emlib.data.intervals import Intervals
from emlib.data.regression import Regression
from emlib.data.sequences import Sequences
from emlib.data.table import Table

__all__ = ["Intervals", "Regression", "Sequences", "Table"]
