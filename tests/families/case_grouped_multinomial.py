"""Grouped multinomials in the contract tests."""

import numpy as np
from scipy.stats import multinomial

from emlib.data import Counts
from emlib.models.grouped_multinomial import GroupedMultinomialModel, GroupedMultinomialParams
from tests.families.contract import Family

LINKAGE = {
    "groups": [0, 0, 1, 2, 3],
    "constants": [1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 4],
    "exponents": [[0, 0], [1, 0], [0, 1], [0, 1], [1, 0]],
}
BLOOD = {
    "groups": [0, 0, 1, 1, 2, 3],
    "constants": [1, 2, 1, 2, 2, 1],
    "exponents": [[2, 0, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [1, 1, 0], [0, 0, 2]],
}
TWO_BLOCKS = {
    "groups": [0, 1, 2, 0],
    "exponents": [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]],
    "blocks": [2, 2],
}


class GroupedMultinomialCase(Family):
    classes = False

    def __init__(self, name, settings):
        self.settings = settings
        self.name = f"grouped_multinomial[{name}]"

    def draw(self, rng, n=40, missing=0.2):
        model = GroupedMultinomialModel(**self.settings)
        theta = [rng.dirichlet(np.full(size, 5.0)) for size in model.cells.blocks]
        params = GroupedMultinomialParams(np.concatenate(theta))
        values, _ = model.sample(params, n, rng, total=30)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = model.sample(params, 4, rng, total=30)[0]
        data = Counts.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        model = GroupedMultinomialModel(**self.settings)
        one = np.eye(model.cells.n_categories)
        return [(model, Counts.from_array(rows)) for rows in (one[:1], one[1:2], one * 0.0, one)]

    def brute_loglik(self, model, params, data):
        cells = [
            c * np.prod(params.theta ** np.array(a))
            for c, a in zip(model.cells.constants, model.cells.exponents, strict=True)
        ]
        categories = np.zeros(data.d)
        for g, cell in zip(model.cells.groups, cells, strict=True):
            categories[g] += cell
        total = 0.0
        for row, weight in zip(data.values, data.weights, strict=True):
            seen = ~np.isnan(row)
            if seen.any():
                chances = categories[seen] / categories[seen].sum()
                total += weight * multinomial(row[seen].sum(), chances).logpmf(row[seen])
        return total


CASES = [
    GroupedMultinomialCase("linkage", LINKAGE),
    GroupedMultinomialCase("blood groups", BLOOD),
    GroupedMultinomialCase("two blocks", TWO_BLOCKS),
]
