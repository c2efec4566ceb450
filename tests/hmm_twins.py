"""Slow twins of hidden Markov models: every path of states, one by one."""

import itertools

import numpy as np
from scipy.stats import multivariate_normal, poisson

from emlib.models.hmm import CategoricalHMMParams, MixtureHMMParams, PoissonHMMParams


def log_density(model, params, row, k):
    """Log density of the observed cells of one step in state k, straight from scipy."""
    o = ~np.isnan(row)
    if not o.any():
        return 0.0
    if isinstance(params, PoissonHMMParams):
        return poisson.logpmf(row[o], params.rates[k, o]).sum()
    if isinstance(params, CategoricalHMMParams):
        with np.errstate(divide="ignore"):
            return np.log(params.emissionprob[k, int(row[0])])
    if isinstance(params, MixtureHMMParams):
        flat = model.emission.flat(params)
        full = model.emission.components.full_covariances(flat).reshape(
            *params.weights.shape, len(row), len(row)
        )
        parts = []
        for m, weight in enumerate(params.weights[k]):
            normal = multivariate_normal(params.means[k, m, o], full[k, m][np.ix_(o, o)])
            parts.append(np.log(weight) + normal.logpdf(row[o]))
        return np.logaddexp.reduce(parts)
    cov = model.emission.full_covariances(params)[k]
    return multivariate_normal(params.means[k, o], cov[np.ix_(o, o)]).logpdf(row[o])


def path_logs(model, params, values):
    """Every path of states (paths, n), and its joint log density with the data (paths,)."""
    k, n = len(params.startprob), len(values)
    emitted = np.array([[log_density(model, params, row, j) for j in range(k)] for row in values])
    with np.errstate(divide="ignore"):
        start, moves = np.log(params.startprob), np.log(params.transmat)
    paths = np.array(list(itertools.product(range(k), repeat=n)))
    logs = start[paths[:, 0]] + emitted[np.arange(n), paths].sum(axis=1)
    return paths, logs + moves[paths[:, :-1], paths[:, 1:]].sum(axis=1)


def sequences_of(data):
    for first, last in itertools.pairwise(data.offsets):
        yield data.values[first:last]


def brute_loglik(model, params, data):
    """Weighted loglik by enumeration of all paths."""
    logs = [np.logaddexp.reduce(path_logs(model, params, x)[1]) for x in sequences_of(data)]
    return float(data.unit_weights @ np.array(logs))
