"""What all fits of one replicate share: its data with holes, and the model to fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.errors import InvalidData
from emlib.inits import make_init
from emlib.models import FAMILIES, make_model
from emlib.study.scores import HiddenCells


@dataclass(frozen=True, eq=False)
class Case:
    """One replicate with its holes, and the model to fit: what all its fits share.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        The measurements, NaN where nobody knows them.
    hidden : ndarray of shape (n, d), bool
        Cells hidden from the fits.
    labels : ndarray of shape (n,) or None
        Known classes.
    truth : dict, or None
        Parameters that a generator drew the rows from.
    family, settings
        The model, as in ``study.json``.
    extras : dict of str to ndarray
        What else the data set has: ``lengths``, ``covariates``, ``upper``. Nothing of it is hidden,
        but the upper ends of hidden cells.
    client : distributed.Client, or None
        Of the cluster whose workers do the E-steps of climbs; None: this process does.
    """

    values: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    labels: NDArray[Any] | None
    truth: Mapping[str, Any] | None
    family: str
    settings: Mapping[str, Any]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    client: Any = None

    @cached_property
    def data(self) -> Any:
        """What the fits see: the family's own view."""
        extras = dict(self.extras)
        if "upper" in extras:
            extras["upper"] = np.where(self.hidden, np.nan, extras["upper"])
        return FAMILIES[self.family].view(np.where(self.hidden, np.nan, self.values), **extras)

    @cached_property
    def penalty(self) -> float:
        """What the Bayesian information criterion adds for the model's free parameters."""
        return float(self.model.n_parameters(self.data) * math.log(self.data.total_weight))

    @cached_property
    def has_hidden(self) -> bool:
        """Whether any cell is hidden."""
        return bool(self.hidden.any())

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """Cells whose value is known, neither missing nor censored, shape (n, d)."""
        return np.isfinite(self.values) & (self.values == self.extras.get("upper", self.values))

    @cached_property
    def hidden_cells(self) -> HiddenCells:
        """Hidden cells that are exact: what imputations are held against."""
        return HiddenCells.of(self.values, self.hidden & self.exact)

    @cached_property
    def _prepared(self) -> Any:
        try:
            return make_model(self.family, dict(self.settings)).prepare(self.data)
        except InvalidData as error:
            return error

    @property
    def model(self) -> Any:
        """The model, its prior resolved on these data.

        Raises
        ------
        InvalidData
            If it cannot take them.
        """
        if isinstance(self._prepared, InvalidData):
            raise InvalidData(str(self._prepared))
        return self._prepared

    @cached_property
    def climbed(self) -> tuple[Any, Any]:
        """The model and the data as climbs take them, where the model's engine is."""
        if self.client is None:
            return self.model, self.data
        from emlib.distributed.model import DistributedModel
        from emlib.distributed.view import cut

        return DistributedModel(self.model), cut(self.client, self.model, self.data)

    @cached_property
    def accepts_truth(self) -> bool:
        """Whether the truth is known, and is parameters of this model."""
        try:
            return self.truth is not None and bool(self.model.accepts_truth(dict(self.truth)))
        except InvalidData:
            return False

    def start(self, init: str, settings: Mapping[str, Any], rng: np.random.Generator) -> Any:
        """Parameters and cost that one call of an init gives."""
        strategy: Any = make_init(init, dict(settings))
        if strategy.oracle:
            if not self.accepts_truth:
                raise ValueError(f"init {init!r} needs a truth that the model can start from")
            strategy = strategy.bound(self.model.from_truth(self.truth))
        return strategy(self.model, self.data, rng)
