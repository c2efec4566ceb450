"""Random multinomial counts of genetics: linkage and blood groups."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import Drawn, FamilyGenerator
from emlib.datasets.settings import Setting, choice, count, positive, rows

CELLS: dict[str, dict[str, Any]] = {
    "linkage": {
        "groups": [0, 0, 1, 2, 3],
        "constants": [0.5, 0.25, 0.25, 0.25, 0.25],
        "exponents": [[0, 0], [1, 0], [0, 1], [0, 1], [1, 0]],
    },
    "blood_groups": {
        "groups": [0, 0, 1, 1, 2, 3],
        "constants": [1, 2, 1, 2, 2, 1],
        "exponents": [[2, 0, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [1, 1, 0], [0, 0, 2]],
    },
}
"""Settings of the model whose law the rows follow."""

CATEGORIES = {"linkage": ("AB", "Ab", "aB", "ab"), "blood_groups": ("A", "B", "AB", "O")}


class GroupedMultinomialGenerator(FamilyGenerator):
    """Rows of ``total`` counts in four categories that are groups of latent cells.

    ``linkage`` has the cells of Dempster, Laird and Rubin (1977), ``blood_groups`` those of the
    genes A, B and O. Theta is Dirichlet with the parameter ``evenness``: the lower it is, the
    rarer the rarest gene, and the nearer the boundary.

    Settings: ``n``, ``total`` (100), ``cells`` (``linkage``), ``evenness`` (2).
    """

    family: ClassVar[str] = "grouped_multinomial"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "total": count(1, 100),
        "cells": choice(*CELLS, default="linkage"),
        "evenness": positive(2.0),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return CELLS[settings["cells"]]

    def columns(self, settings: dict[str, Any]) -> tuple[str, ...]:
        return CATEGORIES[settings["cells"]]

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw theta (2,) or (3,)."""
        size = len(CELLS[settings["cells"]]["exponents"][0])
        return {"theta": rng.dirichlet(np.full(size, settings["evenness"]))}

    def rows(
        self, settings: dict[str, Any], model: Any, params: Any, rng: np.random.Generator
    ) -> Drawn:
        """Draw rows of ``total`` counts."""
        values, _ = model.sample(params, settings["n"], rng, settings["total"])
        return values, None, {}
