"""Slow, obvious twins of the compiled kernels: row by row, straight from the formulas."""

import numpy as np
from scipy.stats import multivariate_normal, multivariate_t


def row_log_joint(row, weights, means, covariances):
    """log(weight_k * density of the observed cells), and the completed moments, by component."""
    o = ~np.isnan(row)
    log_joint, completed, conditional = [], [], []
    for w, mean, cov in zip(weights, means, covariances, strict=True):
        value, extra = mean.copy(), cov.copy()
        density = 0.0
        if o.any():
            density = multivariate_normal(mean[o], cov[np.ix_(o, o)]).logpdf(row[o])
            gain = cov[:, o] @ np.linalg.inv(cov[np.ix_(o, o)])
            value = mean + gain @ (row[o] - mean[o])
            extra = cov - gain @ cov[o, :]
        log_joint.append(np.log(w) + density)
        completed.append(value)
        conditional.append(extra)
    return np.array(log_joint), completed, conditional


def observed_loglik(x, weights, means, covariances, row_weights=None):
    """Observed-data log-likelihood by brute force."""
    row_weights = np.ones(len(x)) if row_weights is None else row_weights
    rows = [np.logaddexp.reduce(row_log_joint(r, weights, means, covariances)[0]) for r in x]
    return float(row_weights @ np.array(rows))


def em_iteration(x, weights, means, covariances, row_weights=None):
    """One EM iteration for full covariances; returns weights, means, covariances."""
    k, d = means.shape
    row_weights = np.ones(len(x)) if row_weights is None else row_weights
    r = np.zeros((len(x), k))
    completed, conditional = np.zeros((len(x), k, d)), np.zeros((len(x), k, d, d))
    for i, row in enumerate(x):
        if np.isnan(row).all():
            continue
        log_joint, value, extra = row_log_joint(row, weights, means, covariances)
        r[i] = row_weights[i] * np.exp(log_joint - np.logaddexp.reduce(log_joint))
        completed[i], conditional[i] = value, extra
    counts = r.sum(axis=0)
    new_means = np.einsum("ik,ikd->kd", r, completed) / counts[:, None]
    deviation = completed - new_means
    scatter = np.einsum("ik,ika,ikb->kab", r, deviation, deviation)
    scatter += np.einsum("ik,ikab->kab", r, conditional)
    return counts / counts.sum(), new_means, scatter / counts[:, None, None]


def student_log_joint(row, weights, means, scatters, dofs):
    """log(weight_k * t density of the observed cells), by component."""
    o = ~np.isnan(row)
    result = np.log(weights)
    if o.any():
        laws = zip(means, scatters, dofs, strict=True)
        result = result + [
            multivariate_t(mean[o], scatter[np.ix_(o, o)], df=dof).logpdf(row[o])
            for mean, scatter, dof in laws
        ]
    return result


def student_loglik(x, weights, means, scatters, dofs, row_weights=None):
    """Observed-data log-likelihood of a t mixture by brute force."""
    row_weights = np.ones(len(x)) if row_weights is None else row_weights
    rows = [np.logaddexp.reduce(student_log_joint(r, weights, means, scatters, dofs)) for r in x]
    return float(row_weights @ np.array(rows))
