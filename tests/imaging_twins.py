"""The slow twin of the image models: one dense normal law of all numbers, from the formulas."""

import numpy as np

from emlib.models.imaging import GaussianImageModel
from emlib.models.imaging.measurement import Measurements, complex_gains


def rotation_matrix(order, degrees):
    matrix, i = np.zeros((len(order), len(order))), 0
    while i < len(order):
        angle = np.deg2rad(degrees) * order[i]
        if order[i] == 0:
            matrix[i, i], i = 1.0, i + 1
            continue
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix[i : i + 2, i : i + 2], i = turn, i + 2
    return matrix


def dense_law(model, params, data):
    """Mean and covariance of all observed real and imaginary parts, straight from the formulas."""
    seen = data.observed
    known = Measurements.of(data, data.values[seen])
    corrupted = np.ones(seen.sum(), dtype=complex)
    if model.gains:
        g = complex_gains(params)
        corrupted = g[known.gain1] * g[known.gain2].conj()
    fourier = corrupted[:, None] * model.grid.fourier(data.u[seen], data.v[seen])
    maps = np.vstack([fourier.real, fourier.imag])
    weights = params.noise_weights if model.noise == "student" else 1.0
    noise = np.diag(np.tile(params.noise_scale * data.sigmas[seen] ** 2 / weights, 2))
    mean = params.flux * maps @ model.mean_image
    if isinstance(model, GaussianImageModel):
        basis, _ = model.grid.waves()
        atoms = model.mean_image[:, None] * basis
        law = atoms @ np.diag(params.band_variances[model.bands]) @ atoms.T
        return mean, noise + maps @ law @ maps.T
    frame, seen_states = np.tile(data.frames[seen], 2), maps @ model.basis.images
    signal = np.empty_like(noise)
    for i, j in np.ndindex(*signal.shape):
        lag = frame[i] - frame[j]
        turn = rotation_matrix(model.basis.order, params.rotation * lag)
        law = params.static_variance * np.eye(len(turn))
        law = law + params.moving_variance * params.correlation ** abs(lag) * turn
        signal[i, j] = seen_states[i] @ law @ seen_states[j]
    return mean, noise + signal
