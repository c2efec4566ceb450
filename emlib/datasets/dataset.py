"""What a dataset is once drawn (``Dataset``), and what is known of it before (``DatasetInfo``)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Truth = dict[str, Any]
"""A generator's parameters, named like the fields of the family's record: arrays, or a list of
arrays where items differ in shape."""

VISIBILITIES = ("stations", "baselines", "uv", "sigmas", "times", "frames", "scans")
"""Names of the arrays beside the values of visibilities; see ``emlib.data.Visibilities``."""

EXTRAS = ("lengths", "covariates", "upper", *VISIBILITIES)
"""Names of the arrays that a dataset may have beside its values."""

OF_THE_WHOLE = ("lengths", "stations")
"""Those among them that do not have a line a row."""


@dataclass(frozen=True)
class Dataset:
    """One draw of a dataset.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64
        The measurements; NaN where a real table has no value.
    columns : tuple of str
        Names of the ``d`` measurement columns.
    labels : ndarray of shape (n,), int64, or None
        Class of each row, from 0, where it is known.
    truth : dict of str to ndarray or list of ndarray, or None
        For generators, the parameters the rows were drawn from, as their family names them; for
        Gaussian mixtures ``weights`` (K,), ``means`` (K, d), ``covariances`` (K, d, d).
    extras : dict of str to ndarray
        What else belongs to the rows: ``lengths`` (n_sequences,) of sequences, one after the
        other; ``covariates`` (n, p), which are never hidden; ``upper`` (n, d), the upper ends of
        censored cells; those of ``VISIBILITIES``, whose values are real and imaginary parts.
    """

    values: npt.NDArray[np.float64]
    columns: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None = None
    truth: Truth | None = None
    extras: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def head(self, n: int) -> "Dataset":
        """The first ``n`` rows; a sequence that they end in is cut there."""
        extras = {
            name: array if name in OF_THE_WHOLE else array[:n]
            for name, array in self.extras.items()
        }
        if "lengths" in self.extras:
            ends = np.minimum(np.cumsum(self.extras["lengths"]), n)
            sizes = np.diff(ends, prepend=0)
            extras["lengths"] = sizes[sizes > 0]
        labels = None if self.labels is None else self.labels[:n]
        return Dataset(self.values[:n], self.columns, labels, self.truth, extras)


@dataclass(frozen=True)
class DatasetInfo:
    """What a study may know of a dataset at plan time.

    Parameters
    ----------
    n, d : int
        Rows and measurement columns.
    columns : tuple of str
        Names of the measurement columns.
    n_labels : int or None
        Number of known classes; None where rows carry no label.
    synthetic : bool
        True where a generator makes the rows, so that the truth is known.
    observed : tuple of int
        Number of observed cells of each column, before any hole is drawn.
    extras : tuple of str
        Names of the arrays that it has beside the values (``EXTRAS``).
    """

    n: int
    d: int
    columns: tuple[str, ...]
    n_labels: int | None
    synthetic: bool
    observed: tuple[int, ...]
    extras: tuple[str, ...] = ()
