"""The grid of the reference study as one would script it by hand: joblib, scikit-learn, MLflow.

``python -m benchmarks.study.by_hand --replicates 5``. scikit-learn takes complete data only and has
four of the eight inits, so each replicate is 4 inits x 5 restarts = 20 fits where the study has
200; there is no reference search, no certificate and no report. One MLflow run a cell.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

INITS = ("random", "random_from_data", "kmeans", "k-means++")
N, D, K, RESTARTS = 500, 4, 4, 5
TOL = 1e-6
"""Gain of the mean loglik a step below which a climb stops: 0.0005 nats of 500 rows."""


def draw(replicate: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of four normals, and their classes."""
    truth, rng = np.random.default_rng(0), np.random.default_rng([1, replicate])
    means = truth.normal(scale=2.5, size=(K, D))
    factors = truth.normal(size=(K, D, D))
    labels = rng.integers(K, size=N)
    noise = np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(N, D)))
    return means[labels] + noise, labels


def fit(init: str, replicate: int, start: int) -> dict[str, float]:
    """One fit, scored."""
    x, labels = draw(replicate)
    model = GaussianMixture(K, init_params=init, tol=TOL, max_iter=1000, random_state=start)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(x)
        except ValueError:  # a component collapsed
            return {"loglik": np.nan, "ari": np.nan, "seconds": time.process_time() - began}
    seconds = time.process_time() - began
    score = adjusted_rand_score(labels, model.predict(x))
    return {"loglik": model.score(x) * N, "ari": score, "seconds": seconds}


def run(replicates: int, jobs: int, database: Path) -> dict[str, float]:
    """The whole grid, then one MLflow run a cell; CPU seconds of fits and of everything."""
    grid = [
        (init, replicate, start)
        for init in INITS
        for replicate in range(replicates)
        for start in range(RESTARTS)
    ]
    found = Parallel(n_jobs=jobs)(delayed(fit)(*one) for one in grid)
    get_reusable_executor().shutdown(wait=True)  # so that its processes are counted
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{database}")
    mlflow.set_experiment("by hand")
    for init in INITS:
        mine = [one for (name, _, _), one in zip(grid, found, strict=True) if name == init]
        with mlflow.start_run(run_name=init):
            mlflow.log_params({"init": init, "n": N, "d": D, "n_components": K})
            for name in ("loglik", "ari", "seconds"):
                mlflow.log_metric(name, float(np.nanmean([one[name] for one in mine])))
    return {"fits": len(grid), "seconds of fits": sum(one["seconds"] for one in found)}


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.by_hand")
    parser.add_argument("--replicates", type=int, default=100, help="20 fits each")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(given.replicates, given.jobs, Path(folder) / "mlflow.db")
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in spent)
    print(
        f"{done['fits']} fits: {done['seconds of fits']:.1f} CPU s of fits "
        f"({1e3 * done['seconds of fits'] / done['fits']:.1f} ms each); "
        f"{total:.1f} with start-up and MLflow"
    )


if __name__ == "__main__":
    main()
