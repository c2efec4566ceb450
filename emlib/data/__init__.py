"""The views that models read: holes, counts, limits, covariates, sequences and visibilities."""

from emlib.data.counts import Counts
from emlib.data.discrete import Discrete
from emlib.data.intervals import Intervals
from emlib.data.regression import Regression
from emlib.data.sequences import Sequences
from emlib.data.table import Table
from emlib.data.visibilities import Visibilities

__all__ = ["Counts", "Discrete", "Intervals", "Regression", "Sequences", "Table", "Visibilities"]
