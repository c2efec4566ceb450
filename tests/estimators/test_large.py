"""Large data: on threads, mapped from files, streamed from Parquet - to the same bits."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from emlib import (
    BernoulliMixture,
    FactorAnalysis,
    GaussianMixture,
    LatentClass,
    PoissonMixture,
    RegressionMixture,
    StudentMixture,
    parallel,
)
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.models import Degenerate
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK_ROWS", 100)


def same_fits(a, b):
    assert a.loglik_ == b.loglik_
    assert (a.history_.objective == b.history_.objective).all()
    for x, y in zip(vars(a.params_).values(), vars(b.params_).values(), strict=True):
        assert np.array_equal(np.hstack(np.atleast_1d(x)), np.hstack(np.atleast_1d(y)))


def test_rows_are_cut_evenly_whatever_the_number_of_threads():
    assert parallel.chunk_bounds(10) == [0, 10]
    bounds = np.array(parallel.chunk_bounds(100_000))
    assert np.diff(bounds).tolist() == [25_000] * 4


ESTIMATORS = [
    GaussianMixture(2, max_iter=10, tol=0, random_state=0),
    GaussianMixture(2, covariance_type="diag", max_iter=10, tol=0, random_state=0),
    StudentMixture(2, max_iter=10, tol=0, random_state=0),
    FactorAnalysis(1, max_iter=10, tol=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: repr(e).split("(")[0])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_threads_change_no_bit_of_numbers(rng, small_chunks, estimator, missing):
    x = mixture_rows(rng, 450, 3, 2, missing=missing)
    one, three = (estimator.set_params(n_threads=n).fit(x) and vars(estimator).copy()
                  for n in (1, 3))  # fmt: skip
    assert one["loglik_"] == three["loglik_"]
    assert (one["history_"].objective == three["history_"].objective).all()
    for a, b in zip(vars(one["params_"]).values(), vars(three["params_"]).values(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("estimator", [BernoulliMixture, LatentClass, PoissonMixture])
def test_threads_change_no_bit_of_discrete_rows(rng, small_chunks, estimator):
    x = rng.integers(2, size=(450, 12)).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    same_fits(*(estimator(2, random_state=0, n_threads=n).fit(x) for n in (1, 2)))


def test_threads_change_no_bit_of_regressions(rng, small_chunks):
    x = rng.normal(size=(450, 2))
    y = np.where(rng.random(450) < 0.5, x[:, 0], -x[:, 0]) + 0.1 * rng.normal(size=450)
    same_fits(*(RegressionMixture(2, random_state=0, n_threads=n).fit(x, y) for n in (1, 2)))


def test_chunks_add_up_to_the_whole(rng, monkeypatch):
    x = mixture_rows(rng, 450, 3, 2, missing=0.3)
    whole = Table.from_array(x)
    monkeypatch.setattr(parallel, "CHUNK_ROWS", 100)
    cut = Table.from_array(x)
    assert len(cut.chunks) == 5
    model = GaussianMixtureModel(2)
    start = model.random_start(whole, rng)
    a, b = model.e_step(start, whole), model.e_step(start, cut)
    assert a.loglik == pytest.approx(b.loglik, rel=1e-13)
    assert a.second == pytest.approx(b.second, rel=1e-10, abs=1e-10)


def test_a_number_of_threads_is_checked():
    with pytest.raises(ValueError, match="n_threads: 0 is not a positive integer"):
        GaussianMixture(2, n_threads=0).fit(np.random.default_rng(0).normal(size=(20, 2)))


def test_an_error_in_a_thread_is_that_of_the_e_step(rng, small_chunks):
    data = Table.from_array(mixture_rows(rng, 450, 2, 2))
    model = GaussianMixtureModel(2)
    singular = replace(model.random_start(data, rng), covariances=np.ones((2, 2, 2)))
    with parallel.threads(2), pytest.raises(Degenerate, match="component 0 is singular"):
        model.e_step(singular, data)


def test_a_mapped_array_is_read_in_its_place_to_the_same_bits(rng, tmp_path):
    x = mixture_rows(rng, 500, 3, 2, missing=0.2)
    np.save(tmp_path / "x.npy", x)
    there = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(Table.from_array(there).values, there)
    same_fits(*(GaussianMixture(2, random_state=0).fit(one) for one in (x, there)))


def test_a_parquet_dataset_is_fitted_to_the_same_bits(rng, tmp_path):
    x = mixture_rows(rng, 500, 3, 2, missing=0.2)
    for part, rows in enumerate(np.array_split(x, 3)):
        columns = {f"c{j}": pa.array(rows[:, j], from_pandas=True) for j in range(3)}
        pq.write_table(pa.table(columns), tmp_path / f"part-{part}.parquet", row_group_size=50)
    dataset = ds.dataset(tmp_path)
    fits = [GaussianMixture(2, random_state=0).fit(one) for one in (x, dataset)]
    same_fits(*fits)
    assert np.array_equal(fits[0].predict_proba(x), fits[1].predict_proba(dataset))


def test_a_dataset_that_is_no_table_of_numbers_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1.0], "b": ["x"]}), tmp_path / "words.parquet")
    with pytest.raises(InvalidData, match="column 'b' is of string: a table has numbers"):
        GaussianMixture(1).fit(ds.dataset(tmp_path / "words.parquet"))
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), tmp_path / "empty.parquet")
    with pytest.raises(InvalidData, match=r"data of shape \(0, 1\)"):
        GaussianMixture(1).fit(ds.dataset(tmp_path / "empty.parquet"))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_climb_from_given_parameters_needs_little_memory_beside_the_data():
    rng = np.random.default_rng(0)
    k, d = 4, 4
    x = rng.normal(size=(100_000, d))
    start = {
        "weights": np.full(k, 1 / k),
        "means": rng.normal(size=(k, d)),
        "covariances": np.tile(np.eye(d), (k, 1, 1)),
    }
    model = GaussianMixture(k, init_params=start, tol=0, max_iter=2)
    model.fit(x[:100])
    tracemalloc.start()
    try:
        model.fit(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 45 * len(x)  # bytes: no array of n x K numbers, which would take 32 a row more
