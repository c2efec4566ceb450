"""Generators of censored normals, zero-inflated counts and grouped multinomials."""

import numpy as np
import pytest

from emlib.datasets import check_spec, describe_dataset, draw_dataset
from emlib.models import make_model


def drawn(**spec):
    rng = np.random.default_rng(3)
    assert check_spec(spec) == []
    data, info = draw_dataset(spec, rng, rng), describe_dataset(spec)
    assert data.values.shape == (info.n, info.d)
    assert set(data.extras) == set(info.extras)
    return data


@pytest.mark.parametrize("side", ["left", "right", "interval"])
def test_the_wanted_share_of_cells_is_censored(side):
    data = drawn(generator="censored_normal", n=4000, d=2, n_covariates=1, censored=0.4, side=side)
    model = make_model("censored_normal", {})
    view = model.view(data.values, **data.extras)
    assert view.censored.mean(axis=0) == pytest.approx([0.4, 0.4], abs=0.03)
    truth = model.from_truth(data.truth)
    sums = model.e_step(truth, view)
    assert model.prepare(view).m_step(sums, truth).scales == pytest.approx(truth.scales, rel=0.05)
    assert model.parameter_error(truth, data.truth) == 0.0
    inside = model.posterior(truth, view).completed
    ends = (view.values - 1e-9 <= inside) & (inside <= view.upper + 1e-9)
    assert ends.all()


def test_the_wanted_share_of_zeros_is_structural():
    data = drawn(generator="zero_inflated_poisson", n=4000, d=2, n_covariates=2, inflation=0.4)
    model = make_model("zero_inflated_poisson", {})
    view = model.view(data.values, **data.extras)
    truth = model.from_truth(data.truth)
    assert model.structural(truth, view).mean(axis=0) == pytest.approx([0.4, 0.4], abs=0.03)
    assert model.parameter_error(truth, data.truth) == 0.0


@pytest.mark.parametrize("cells", ["linkage", "blood_groups"])
def test_counts_come_in_the_shares_of_their_categories(cells):
    from emlib.datasets.grouped_multinomial import CELLS

    data = drawn(generator="grouped_multinomial", n=50, total=200, cells=cells)
    assert (data.values.sum(axis=1) == 200).all()
    model = make_model("grouped_multinomial", CELLS[cells])
    truth = model.from_truth(data.truth)
    chances = model.cells.by_category(model.cells.probabilities(truth.theta))
    assert data.values.mean(axis=0) / 200 == pytest.approx(chances, abs=0.02)
    assert model.accepts_truth(data.truth)
    assert model.parameter_error(truth, data.truth) == 0.0
