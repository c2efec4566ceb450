"""What a dataset is once drawn (``Dataset``), and what is known of it before (``DatasetInfo``)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
    truth : dict of str to ndarray, or None
        For generators, the parameters the rows were drawn from:
        ``weights`` (K,), ``means`` (K, d), ``covariances`` (K, d, d).
    """

    values: npt.NDArray[np.float64]
    columns: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None = None
    truth: dict[str, npt.NDArray[np.float64]] | None = None


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
    """

    n: int
    d: int
    columns: tuple[str, ...]
    n_labels: int | None
    synthetic: bool
    observed: tuple[int, ...]
