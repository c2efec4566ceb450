"""The real tables hold what their descriptions say, and the numbers that are published of them."""

import numpy as np
import pytest

from emlib.datasets import TABLES, describe_dataset, draw_dataset


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_holds_what_its_description_says(name):
    info, data = TABLES[name], draw_dataset({"table": name})
    assert data.values.shape == (info.n, info.d)
    assert data.columns == info.columns
    assert np.isfinite(data.values).all()
    assert np.ptp(data.values, axis=0).min() > 0
    assert (data.labels is not None) == (info.label is not None)
    if data.labels is not None:
        assert sorted(set(data.labels.tolist())) == list(range(len(info.classes)))
    assert info.source
    assert info.licence
    assert info.description
    described = describe_dataset({"table": name})
    assert (described.n, described.d, described.columns) == (info.n, info.d, info.columns)
    assert described.n_labels == (len(info.classes) or None)
    assert described.observed == (info.n,) * info.d
    assert not described.synthetic


def test_old_faithful_has_its_published_moments():
    values = draw_dataset({"table": "faithful"}).values
    np.testing.assert_allclose(values.mean(axis=0), [3.487783, 70.897059], rtol=1e-6)
    np.testing.assert_allclose(values.std(axis=0, ddof=1), [1.141371, 13.594974], rtol=1e-6)


def test_iris_is_fishers_version():
    data = draw_dataset({"table": "iris"})
    np.testing.assert_array_equal(data.values[34], [4.9, 3.1, 1.5, 0.2])
    np.testing.assert_array_equal(data.values[37], [4.9, 3.6, 1.4, 0.1])
    assert np.bincount(data.labels).tolist() == [50, 50, 50]


def test_crabs_have_fifty_rows_of_each_species_and_sex():
    data = draw_dataset({"table": "crabs"})
    assert np.bincount(data.labels).tolist() == [50, 50, 50, 50]
    np.testing.assert_array_equal(data.values[0], [8.1, 6.7, 16.1, 19.0, 7.0])
    assert TABLES["crabs"].classes[data.labels[0]] == "blue male"
    assert TABLES["crabs"].classes[data.labels[-1]] == "orange female"


def test_wine_has_its_three_cultivars():
    assert np.bincount(draw_dataset({"table": "wine"}).labels).tolist() == [59, 71, 48]


def test_galaxies_are_in_thousands_of_kilometres_a_second():
    values = draw_dataset({"table": "galaxies"}).values[:, 0]
    assert (values[0], values[-1], values[77]) == (9.172, 34.279, 26.690)


def test_every_draw_of_a_table_is_the_same():
    one, two = (
        draw_dataset({"table": "iris"}, None, np.random.default_rng(r)).values for r in (0, 1)
    )
    np.testing.assert_array_equal(one, two)
