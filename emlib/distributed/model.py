"""A model over partitions: E-steps are sums of its own ones, all else is the model's."""

from functools import partial
from typing import Any, NoReturn

import numpy as np

from emlib.distributed.partitions import Partitions
from emlib.models.base import Model
from emlib.models.posterior import EXACT, Posterior


class DistributedModel:
    """What a climb takes for a model, where its data are ``Partitions``.

    Attributes
    ----------
    inner : Model
        Its M-step, coordinates, diagnosis and settings are used as they are.
    """

    def __init__(self, inner: Model) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not set yet: an unpickled one
            raise AttributeError(name)
        return getattr(self.inner, name)

    def prepare(self, data: Partitions) -> "DistributedModel":
        """See ``Model.prepare``: the sample has what the checks look for in all rows."""
        return DistributedModel(self.inner.prepare(data.sample))

    def n_parameters(self, data: Partitions) -> int:
        """Number of free parameters."""
        return self.inner.n_parameters(data.sample)

    def e_step(self, params: Any, data: Partitions, posterior: Posterior = EXACT) -> Any:
        """See ``Model.e_step``; where the posterior is drawn from, each partition has a seed."""
        seeds = None
        if posterior.rng is not None:
            seeds = posterior.rng.integers(2**63, size=len(data.tables)).tolist()
        return data.total(_e_step, self.inner, params, posterior.beta, own=seeds)

    def observed_step(
        self, params: Any, data: Partitions, free: frozenset[str]
    ) -> tuple[Any, float]:
        """See ``Model.observed_step``; the families that have one look at their tails."""
        inner: Any = self.inner
        return inner.raised(params, partial(data.total, _tail_pass, inner, params))

    def free_energy(self, params: Any, data: Partitions, beta: float) -> float:
        """See ``Model.free_energy``."""
        return float(data.total(_free_energy, self.inner, params, beta))

    def em_chunk(self, params: Any, stats: Any, data: Partitions, n_steps: int) -> None:
        """Steps go one by one."""

    def posterior(self, params: Any, data: Partitions) -> NoReturn:
        """Posteriors of rows would be as many numbers as the data."""
        raise NotImplementedError(
            "it asks what the parameters say of single rows, and those stay with the workers; "
            "algorithms that see sums alone, such as em, squarem and anderson, can climb there"
        )


def _e_step(table: Any, seed: int | None, model: Model, params: Any, beta: float) -> Any:
    rng = None if seed is None else np.random.default_rng(seed)
    return model.e_step(params, table, Posterior(beta, rng))


def _tail_pass(table: Any, own: None, model: Any, params: Any, tails: Any) -> Any:
    return model.tail_passes(params, table)(tails)


def _free_energy(table: Any, own: None, model: Model, params: Any, beta: float) -> float:
    return model.free_energy(params, table, beta)
