"""``fit_distributed`` on a cluster of processes: the fit in memory, whatever happens to workers."""

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import emlib
from emlib import (
    CensoredNormal,
    GaussianHMM,
    GaussianMixture,
    LatentClass,
    MultivariateNormal,
    RegressionMixture,
)
from emlib.algorithms import EM
from emlib.distributed import survey
from emlib.errors import EmlibError, InvalidData
from tests.conftest import mixture_rows

da = pytest.importorskip("dask.array", reason="Dask is not installed: extra 'dask'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: extra 'dask'")


def same_bits(a, b):
    assert (a.history_.objective == b.history_.objective).all()
    for one, other in zip(vars(a.params_).values(), vars(b.params_).values(), strict=True):
        assert np.array_equal(one, other)


def test_parquet_files_are_fitted_where_they_are_read(client, rng, tmp_path):
    x = mixture_rows(rng, 500, 3, 2, missing=0.2)
    names = ["a", "b", "c"]
    for part, rows in enumerate(np.split(x, [50, 51, 400])):
        pd.DataFrame(rows, columns=names).to_parquet(tmp_path / f"{part}.parquet")
    weights = 1.0 + (np.arange(500) % 3 == 0)
    frame = dd.read_parquet(tmp_path)
    weight = da.from_array(weights, chunks=((50, 1, 349, 100),))
    whole = GaussianMixture(2, random_state=0).fit(pd.DataFrame(x, columns=names), None, weights)
    parts = GaussianMixture(2, random_state=0)
    assert emlib.fit_distributed(parts, frame, sample_weight=weight) is parts
    assert parts.loglik_ == pytest.approx(whole.loglik_, rel=1e-9)
    assert parts.means_ == pytest.approx(whole.means_, rel=1e-7)
    assert parts.bic() == pytest.approx(whole.bic(), rel=1e-9)
    assert parts.feature_names_in_.tolist() == names
    assert (parts.predict(frame.compute()) == whole.predict(frame.compute())).all()
    with pytest.raises(ValueError, match="stay with the workers of fit_distributed"):
        parts.standard_errors()


@dataclass(frozen=True)
class Killing(EM):
    """EM that kills a process before one of its iterations."""

    name: ClassVar[str] = "killing"

    pid: int = 0
    began: ClassVar[list[int]] = []

    def move(self, model, data, position, rng):
        self.began.append(self.pid)
        if len(self.began) == 4:
            os.kill(self.pid, signal.SIGKILL)
        return super().move(model, data, position, rng)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_worker_killed_in_the_middle_changes_no_bit(client, rng, tmp_path):
    x = mixture_rows(rng, 3000, 3, 2, missing=0.2)
    for part, rows in enumerate(np.split(x, 6)):
        pd.DataFrame(rows, columns=list("abc")).to_parquet(tmp_path / f"{part}.parquet")
    model = GaussianMixture(2, random_state=0, tol=0, max_iter=8)
    whole = GaussianMixture(2, random_state=0, tol=0, max_iter=8).fit(x)
    emlib.fit_distributed(model, dd.read_parquet(tmp_path), client=client)
    pids = client.run(os.getpid)
    assert len(pids) == 3
    killed = GaussianMixture(2, random_state=0, tol=0, max_iter=8)
    killed.algorithm = Killing(pid=next(iter(pids.values())))
    emlib.fit_distributed(killed, dd.read_parquet(tmp_path), client=client)
    assert len(Killing.began) == 8
    assert killed.algorithm.pid not in client.run(os.getpid).values()
    same_bits(model, killed)
    assert killed.loglik_ == pytest.approx(whole.loglik_, rel=1e-9)


def test_any_number_of_workers_gives_the_same_bits(client, rng):
    from distributed import Client

    x = da.from_array(mixture_rows(rng, 500, 3, 2, missing=0.2), chunks=(90, 3))
    fits = [GaussianMixture(2, random_state=0) for _ in range(2)]
    emlib.fit_distributed(fits[0], x, client=client)
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2}
    with Client(**options, dashboard_address=":0", set_as_default=False) as other:
        emlib.fit_distributed(fits[1], x, client=other)
    same_bits(*fits)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_beyond_the_sample_are_checked_too(client, rng, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 20)
    x = rng.integers(0, 2, size=(400, 6)).astype(float)
    x[399, 5] = 7.0  # a level that hardly any sample shows
    rows = da.from_array(x, chunks=(150, 6))
    parts = LatentClass(2, random_state=0, tol=0, max_iter=3)
    emlib.fit_distributed(parts, rows, client=client)
    assert parts.probabilities_[5].shape == (2, 3)
    one = LatentClass(1)
    emlib.fit_distributed(one, rows, client=client)
    assert one.loglik_ == pytest.approx(LatentClass(1).fit(x).loglik_, rel=1e-9)
    x[350, 2] = 0.5
    with pytest.raises(InvalidData, match=r"partition 2: row 50, column 2: 0.5 is no code"):
        emlib.fit_distributed(parts, da.from_array(x, chunks=(150, 6)), client=client)


def test_a_column_that_varies_in_one_row_of_a_million_is_not_constant(client, rng, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 20)
    x = rng.normal(size=(1000, 2))
    x[:, 1] = 5.0
    with pytest.raises(InvalidData, match="column 1 is constant"):
        emlib.fit_distributed(MultivariateNormal(), da.from_array(x, chunks=(300, 2)))
    x[777, 1] = 6.0
    parts = emlib.fit_distributed(MultivariateNormal(), da.from_array(x, chunks=(300, 2)))
    assert parts.loglik_ == pytest.approx(MultivariateNormal().fit(x).loglik_, rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_named_prior_is_that_of_all_rows(client, rng, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 50)
    x = mixture_rows(rng, 500, 3, 2, missing=0.2) + 1e4
    start = GaussianMixture(2, random_state=0, max_iter=1, tol=0)
    start.fit(x)
    given = {name: getattr(start, f"{name}_") for name in ("weights", "means", "covariances")}
    fits = [GaussianMixture(2, prior="fraley_raftery", init_params=given) for _ in range(2)]
    fits[0].fit(x)
    emlib.fit_distributed(fits[1], da.from_array(x, chunks=(190, 3)), client=client)
    assert fits[1].objective_ == pytest.approx(fits[0].objective_, rel=1e-9)


def test_regressions_and_censored_cells_take_what_their_fits_take(client, rng):
    z = rng.normal(size=(200, 1))
    y = np.where(rng.random(200) < 0.5, 2.0 * z[:, 0], 3.0 - z[:, 0]) + 0.3 * rng.normal(size=200)
    rows = [da.from_array(a, chunks=(70, *a.shape[1:])) for a in (z, y)]
    whole = RegressionMixture(2, random_state=0).fit(z, y)
    parts = emlib.fit_distributed(RegressionMixture(2, random_state=0), *rows, client=client)
    assert parts.loglik_ == pytest.approx(whole.loglik_, rel=1e-9)
    assert parts.coef_.shape == whole.coef_.shape == (2, 1)
    low = np.maximum(y, 0.0)[:, None]
    cut = [CensoredNormal(lower_limit=0.0) for _ in range(2)]
    cut[0].fit(low, covariates=z)
    block = da.from_array(low, chunks=(70, 1))
    emlib.fit_distributed(cut[1], block, covariates=rows[0], client=client)
    assert cut[1].loglik_ == pytest.approx(cut[0].loglik_, rel=1e-9)


def test_what_cannot_be_taken_is_named(client, rng):
    x = rng.normal(size=(40, 2))
    rows = da.from_array(x, chunks=(20, 2))
    words = dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), npartitions=1)
    weights = da.ones(40, chunks=((10, 30),))
    model = GaussianMixture(1)
    for data, extras, text in [
        (x, {}, "X: ndarray is neither an array nor a data frame of Dask"),
        (words, {}, "X: column 'b' is of "),
        (da.from_array(x, chunks=(20, 1)), {}, r"X: 2 chunks along columns.*rechunk\({1: -1}\)"),
        (rows.astype("M8[s]"), {}, "X: an array of datetime64"),
        (rows, {"sample_weight": da.ones(40, chunks=10)}, "sample_weight: 4 partitions, where X"),
        (rows, {"sample_weight": weights}, "partition 0: sample_weight has 10 rows, and X has 20"),
        (rows, {"sample_weight": 0.0 * da.ones(40, chunks=20)}, "no row has an observed cell"),
        (da.where(rows > 2, np.inf, rows) * np.inf, {}, "partition 0: "),
    ]:
        with pytest.raises(InvalidData, match=text):
            emlib.fit_distributed(model, data, client=client, **extras)
    for whole in (GaussianHMM(2), emlib.GaussianImage()):
        name = type(whole).__name__
        with pytest.raises(TypeError, match=f"{name} is not an estimator of independent rows"):
            emlib.fit_distributed(whole, rows)
    mixture = GaussianMixture(3, algorithm="split_merge", random_state=0)
    with pytest.raises(NotImplementedError, match="'split_merge': it asks what the parameters"):
        emlib.fit_distributed(mixture, rows, client=client)


def test_an_empty_partition_and_one_of_weight_zero_count_for_nothing(client, rng):
    x = mixture_rows(rng, 300, 2, 2)
    weights = np.ones(300)
    weights[100:200] = 0.0
    frame = dd.from_pandas(pd.DataFrame(x, columns=["a", "b"]), npartitions=3)
    weight = dd.from_pandas(pd.Series(weights), npartitions=3)
    whole = GaussianMixture(2, random_state=0).fit(x[weights > 0])
    start = {name: getattr(whole, f"{name}_") for name in ("weights", "means", "covariances")}
    parts = GaussianMixture(2, init_params=start)
    emlib.fit_distributed(parts, frame, sample_weight=weight, client=client)
    assert parts.loglik_ == pytest.approx(whole.loglik_, abs=1e-2)
    no_rows = dd.concat([frame[frame.a > 1e9], frame])
    assert no_rows.npartitions == 6
    again = emlib.fit_distributed(GaussianMixture(2, init_params=start), no_rows, client=client)
    assert again.bic() == pytest.approx(GaussianMixture(2, init_params=start).fit(x).bic())


def test_without_a_client_it_says_how_to_get_one(monkeypatch):
    import distributed

    from emlib.distributed.fit import client_or_current

    def none():
        raise ValueError("No clients found")

    monkeypatch.setattr(distributed, "default_client", none)
    with pytest.raises(EmlibError, match=r"distributed.Client\(\) starts workers"):
        client_or_current(None)
