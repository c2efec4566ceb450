"""Generators whose rows follow a model family's own law, at random parameters.

To add one, write one small file: a subclass of ``FamilyGenerator`` with its ``family``, its
``schema`` of settings (one knob for the difficulty among them), the ``model_settings`` that its
rows follow and the random ``parameters``; then add an instance to ``GENERATORS`` in ``spec.py``
and run ``emlib schema > docs/config.schema.json``.
Rows, labels and column names follow from the model's ``sample``, sequences from a ``length`` in
the schema; only data that the model's ``sample`` does not make alone (covariates, censoring)
need an own ``rows``.

    class PoissonMixtureGenerator(FamilyGenerator):
        family = "poisson_mixture"
        schema: ClassVar = {
            "n": rows(), "d": count(), "n_components": count(2), "spread": positive(1.0),
        }

        def model_settings(self, settings):
            return {"n_components": settings["n_components"]}

        def parameters(self, settings, rng):
            k, d = settings["n_components"], settings["d"]
            rates = 5.0 * np.exp(settings["spread"] * rng.standard_normal((k, d)))
            return {"weights": np.full(k, 1 / k), "rates": rates}
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from emlib.datasets.dataset import Dataset, DatasetInfo, Truth
from emlib.datasets.naming import Mistakes, default_names
from emlib.datasets.settings import Setting, check_settings, with_defaults

Drawn = tuple[npt.ArrayLike, npt.ArrayLike | None, dict[str, npt.NDArray[Any]]]
"""Values (n, d), labels (n,) or None, and extras."""


class Generator(Protocol):
    """What a generator of datasets offers; ``settings`` is the dataset's mapping."""

    family: ClassVar[str]
    schema: ClassVar[Mapping[str, Setting]]

    def check(self, settings: Mapping[str, Any]) -> Mistakes:
        """Return (path, message) for every wrong setting."""

    def describe(self, settings: Mapping[str, Any]) -> DatasetInfo:
        """Return the size of the datasets that these settings give."""

    def draw_truth(self, settings: Mapping[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the parameters, shared by all replicates."""

    def draw_rows(
        self, settings: Mapping[str, Any], truth: Truth, rng: np.random.Generator
    ) -> Dataset:
        """Draw one replicate from the parameters."""


class FamilyGenerator(ABC):
    """Draws parameters of a family, and rows from the family's own law at them.

    Methods other than those of ``Generator`` see the settings of the schema, defaults filled in.
    """

    family: ClassVar[str]
    """The model's name in configs, and the generator's."""
    schema: ClassVar[Mapping[str, Setting]]
    """``n`` rows, or ``length`` (and ``n_sequences``) for sequences; ``d`` columns; others."""
    extras: ClassVar[tuple[str, ...]] = ()
    """Arrays beside the values that its own ``rows`` draws; ``lengths`` goes without saying."""

    @abstractmethod
    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings of the family's model whose law the rows follow."""

    @abstractmethod
    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the parameters, named like the fields of the family's record."""

    def check_together(self, settings: dict[str, Any]) -> Mistakes:
        """Return what is wrong with settings that are each sound alone."""
        return []

    def columns(self, settings: dict[str, Any]) -> tuple[str, ...]:
        """Names of the measurement columns."""
        return default_names(settings.get("d", 1))

    def n_classes(self, settings: dict[str, Any]) -> int | None:
        """Number of latent classes that rows are labelled with; None where there are none."""
        return settings.get("n_components", settings.get("n_states"))

    def rows(
        self, settings: dict[str, Any], model: Any, params: Any, rng: np.random.Generator
    ) -> Drawn:
        """Draw values, labels and extras from ``model`` at ``params``."""
        if not self._sequential:
            return *model.sample(params, settings["n"], rng), {}
        n, length = settings.get("n_sequences", 1), settings["length"]
        values, labels = zip(*(model.sample(params, length, rng) for _ in range(n)), strict=True)
        known = None if labels[0] is None else np.concatenate(labels)
        return np.concatenate(values), known, {"lengths": np.full(n, length, dtype=np.int64)}

    @property
    def _sequential(self) -> bool:
        return "length" in self.schema

    # --- what `Generator` asks for ---

    def check(self, settings: Mapping[str, Any]) -> Mistakes:
        """Return (path, message) for every wrong setting."""
        mistakes = check_settings(settings, self.schema, f"generator {self.family!r}")
        return mistakes or self.check_together(with_defaults(settings, self.schema))

    def describe(self, settings: Mapping[str, Any]) -> DatasetInfo:
        """Return the size of the datasets that these settings give."""
        full = with_defaults(settings, self.schema)
        n = full.get("n_sequences", 1) * full["length"] if self._sequential else full["n"]
        columns = self.columns(full)
        extras = ("lengths", *self.extras) if self._sequential else self.extras
        d = len(columns)
        return DatasetInfo(n, d, columns, self.n_classes(full), True, (n,) * d, extras)

    def draw_truth(self, settings: Mapping[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the parameters, shared by all replicates."""
        return self.parameters(with_defaults(settings, self.schema), rng)

    def draw_rows(
        self, settings: Mapping[str, Any], truth: Truth, rng: np.random.Generator
    ) -> Dataset:
        """Draw one replicate: independent rows, or whole sequences one after the other."""
        from emlib.models import make_model

        full = with_defaults(settings, self.schema)
        columns = self.columns(full)
        model = make_model(self.family, self.model_settings(full))
        drawn, classes, extras = self.rows(full, model, model.from_truth(truth), rng)
        values = np.asarray(drawn, dtype=np.float64).reshape(-1, len(columns))
        known = classes is not None and self.n_classes(full) is not None
        labels = np.asarray(classes, dtype=np.int64) if known else None
        return Dataset(values, columns, labels, truth, extras)
