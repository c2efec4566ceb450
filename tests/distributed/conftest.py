"""A cluster of worker processes, where Dask is installed; it ends with the tests of this folder."""

import pytest


@pytest.fixture(scope="package")
def cluster():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: extra 'dask'")
    pytest.importorskip("dask.dataframe", reason="Dask is not installed: extra 'dask'")
    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as running:
        yield running


@pytest.fixture(scope="package")
def client(cluster):
    from distributed import Client

    with Client(cluster) as running:
        yield running
