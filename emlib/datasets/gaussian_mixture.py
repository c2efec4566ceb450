"""Gaussian mixtures: random ones with a wanted overlap, as MixSim's, or given ones.

Melnykov, Chen and Maitra (2012), MixSim, JSS 51(12).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.dataset import Dataset, DatasetInfo, Truth
from emlib.datasets.given_mixture import check_given, given_parameters, is_given
from emlib.datasets.naming import Mistakes, default_names, is_count, is_number, unknown_name
from emlib.datasets.overlap import Overlap, overlap
from emlib.datasets.settings import Setting, check_settings, count, flag, number, rows
from emlib.errors import ConfigError

FloatArray = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""Largest relative difference between the wanted and the attained overlap."""

TRIES = 100
"""How many mixtures are drawn before the wanted overlap is given up."""

_STEPS = 12


class GaussianMixtureGenerator:
    """Gaussian mixtures whose pairs of components overlap as much as asked for.

    Means are uniform in the unit hypercube. Covariances are Wishart with ``d + 1`` degrees of
    freedom and the identity as scale; eigenvalues are drawn together where a component's
    eccentricity ``sqrt(1 - smallest / largest)`` exceeds the one allowed. All covariances are then
    multiplied by one constant, found so that the mean or the largest overlap of the pairs is the
    one wanted. With both wanted, the pair that overlaps most is fixed first and the covariances of
    the other components are multiplied by a second constant. What cannot be attained is drawn
    again, at most ``TRIES`` times. Means and covariances that are given are taken instead.

    Settings: ``n``, ``d``, ``n_components``, ``overlap`` (``mean``, ``max`` or both), ``weights``
    (equal by default, a list, or ``{min: smallest}`` for random ones), ``spherical`` (each
    covariance replaced by its mean eigenvalue times the identity), ``eccentricity`` (0.9); or,
    instead of the last three and ``overlap``, ``means`` (K lists of d numbers) and ``covariances``
    (K variances or d x d lists).
    """

    family: ClassVar[str] = "gaussian_mixture"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "n_components": count(2),
        "overlap": Setting(lambda wanted: True, "", None),
        "weights": Setting(lambda weights: True, "", None),
        "spherical": flag(),
        "eccentricity": number("not in [0, 1)", lambda value: 0 <= value < 1, 0.9),
        "means": Setting(lambda means: True, "", None, {"type": "array"}),
        "covariances": Setting(lambda covariances: True, "", None, {"type": "array"}),
    }

    def check(self, settings: Mapping[str, Any]) -> Mistakes:
        """Return (path, message) for every wrong setting."""
        mistakes = check_settings(settings, self.schema, "generator 'gaussian_mixture'")
        k = settings.get("n_components")
        k = k if is_count(k, 2) else None
        if is_given(settings):
            d = settings.get("d")
            mistakes += check_given(settings, d if is_count(d) else None, k)
        elif settings.get("overlap") is None:
            mistakes.append(("overlap", "is missing (or means and covariances instead of it)"))
        else:
            mistakes += _check_overlap(settings["overlap"], k)
        mistakes += _check_weights(settings.get("weights"), k)
        return mistakes

    def describe(self, settings: Mapping[str, Any]) -> DatasetInfo:
        """Return the size of the datasets that these settings give."""
        n, d = settings["n"], settings["d"]
        return DatasetInfo(n, d, default_names(d), settings["n_components"], True, (n,) * d)

    def draw_truth(self, settings: Mapping[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights, means and covariances with the wanted overlap, or take those given.

        Raises
        ------
        ConfigError
            If none of ``TRIES`` random mixtures can attain it.
        """
        if is_given(settings):
            means, covariances = given_parameters(settings)
            weights = _draw_weights(settings, rng)
            return {"weights": weights, "means": means, "covariances": covariances}
        wanted = settings["overlap"]
        for _ in range(TRIES):
            truth = _draw_parameters(settings, rng)
            scales = _scales(truth, wanted)
            if scales is not None:
                truth["covariances"] = truth["covariances"] * scales[:, None, None]
                return truth
        text = " and ".join(f"{name} {value:g}" for name, value in wanted.items())
        both = "; ask for only one of mean and max," if len(wanted) == 2 else ";"
        raise ConfigError(
            f"overlap: {text} was not attained within {TOLERANCE:g} of it by any of {TRIES} random "
            f"mixtures of {settings['n_components']} components in {settings['d']} dimensions"
            f"{both} lower it, or change the weights, the number of components or of dimensions"
        )

    def draw_rows(
        self, settings: Mapping[str, Any], truth: Truth, rng: np.random.Generator
    ) -> Dataset:
        """Draw ``n`` independent rows and the components that they come from."""
        n, d, k = settings["n"], settings["d"], settings["n_components"]
        labels = rng.choice(k, size=n, p=truth["weights"]).astype(np.int64)
        values = rng.standard_normal((n, d))
        for component in range(k):
            own = labels == component
            factor = np.linalg.cholesky(truth["covariances"][component])
            values[own] = truth["means"][component] + values[own] @ factor.T
        return Dataset(values=values, columns=default_names(d), labels=labels, truth=truth)


def _draw_weights(settings: Mapping[str, Any], rng: np.random.Generator) -> FloatArray:
    k, weights = settings["n_components"], settings.get("weights")
    if weights is None:
        weights = np.full(k, 1 / k)
    elif isinstance(weights, Mapping):
        weights = weights["min"] + (1 - k * weights["min"]) * rng.dirichlet(np.ones(k))
    shares = np.asarray(weights, dtype=np.float64)
    return np.asarray(shares / shares.sum())


def _draw_parameters(settings: Mapping[str, Any], rng: np.random.Generator) -> Truth:
    d, k = settings["d"], settings["n_components"]
    weights = _draw_weights(settings, rng)
    means = rng.random((k, d))
    roots = rng.standard_normal((k, d + 1, d))
    values, vectors = np.linalg.eigh(np.einsum("kri,krj->kij", roots, roots))
    if settings.get("spherical", False):
        covariances = values.mean(axis=1)[:, None, None] * np.eye(d)
    else:
        values = _limit_eccentricity(values, settings.get("eccentricity", 0.9))
        covariances = np.einsum("kil,kl,kjl->kij", vectors, values, vectors)
    return {"weights": weights, "means": means, "covariances": covariances}


def _limit_eccentricity(values: FloatArray, most: float) -> FloatArray:
    """Draw ascending eigenvalues (K, d) towards the largest until ``sqrt(1 - min/max)`` fits."""
    largest = values[:, -1:]
    away = 1 - values / largest
    widest = away[:, :1]
    shrink = np.where(widest > most**2, most**2 / np.where(widest > 0, widest, 1.0), 1.0)
    return largest * (1 - shrink * away)


def _overlap_scaled(truth: Truth, scales: FloatArray) -> Overlap:
    covariances = truth["covariances"] * scales[:, None, None]
    return overlap(truth["weights"], truth["means"], covariances)


def _scales(truth: Truth, wanted: Mapping[str, float]) -> FloatArray | None:
    """Return what to multiply the K covariances by, or None if no multiple will do."""
    k = len(truth["weights"])
    name = "max" if "max" in wanted else "mean"
    centred = {**truth, "means": np.zeros_like(truth["means"])}
    if getattr(_overlap_scaled(centred, np.ones(k)), name) <= wanted[name]:
        return None
    scales = _solve(truth, name, wanted[name], np.ones(k), np.ones(k, dtype=bool))
    if scales is not None and len(wanted) == 2 and k > 2:
        i, j = _closest_pair(_overlap_scaled(truth, scales))
        others = ~np.isin(np.arange(k), (i, j))
        scales = _solve(truth, "mean", wanted["mean"], scales, others)
    if scales is None:
        return None
    found = _overlap_scaled(truth, scales)
    attained = all(
        abs(getattr(found, which) - value) + found.error * k <= TOLERANCE * value
        for which, value in wanted.items()
    )
    return scales if attained else None


def _solve(
    truth: Truth, name: str, target: float, scales: FloatArray, moving: npt.NDArray[np.bool_]
) -> FloatArray | None:
    """Multiply the scales of the moving components until the statistic meets the target.

    Where some components stay, the largest overlap is already the one wanted. A search upwards is
    given up where it raises that one, or where the statistic falls again.
    """

    from scipy.optimize import brentq  # half a second that most processes can spare

    def scaled(log_c: float) -> FloatArray:
        return np.where(moving, scales * np.exp(log_c), scales)

    def excess(log_c: float) -> float:
        return float(getattr(_overlap_scaled(truth, scaled(log_c)), name)) - target

    here = _overlap_scaled(truth, scales)
    highest = np.inf if moving.all() else here.max * (1 + TOLERANCE)
    reached = getattr(here, name)
    rising = reached < target
    low, step = 0.0, np.log(4.0) if rising else -np.log(4.0)
    for _ in range(_STEPS):
        high = low + step
        found = _overlap_scaled(truth, scaled(high))
        if (getattr(found, name) < target) != rising:
            root = brentq(excess, min(low, high), max(low, high), xtol=1e-9, rtol=1e-9)
            return scaled(root)
        if rising and (found.max > highest or getattr(found, name) <= reached):
            return None
        low, reached = high, getattr(found, name)
    return None


def _closest_pair(found: Overlap) -> tuple[int, int]:
    rows, columns = np.triu_indices(len(found.misclassified), k=1)
    at = int(found.pairs.argmax())
    return int(rows[at]), int(columns[at])


def _check_overlap(wanted: Any, k: int | None) -> Mistakes:
    names = ("mean", "max")
    if not isinstance(wanted, Mapping) or not wanted:
        return [("overlap", f"{wanted!r} is not a mapping with mean, max or both")]
    mistakes = [
        (f"overlap.{key}", unknown_name(key, names, "overlap"))
        for key in wanted
        if key not in names
    ]
    for name in names:
        if name in wanted and not (is_number(wanted[name]) and 0 < wanted[name] < 1):
            mistakes.append((f"overlap.{name}", f"{wanted[name]!r} is not in (0, 1)"))
    if mistakes or k is None or not ("mean" in wanted and "max" in wanted):
        return mistakes
    mean, most, pairs = wanted["mean"], wanted["max"], k * (k - 1) // 2
    if k == 2 and mean != most:
        message = f"{mean} is not max, {most}; two components have one pair: ask for one of them"
        return [("overlap.mean", message)]
    if k > 2 and not most / pairs < mean < most:
        between = f"between max / {pairs} = {most / pairs:.4g} and max = {most:g}"
        message = f"{mean} is not {between}, as the mean of {pairs} pairs must be"
        return [("overlap.mean", message)]
    return []


def _check_weights(weights: Any, k: int | None) -> Mistakes:
    if weights is None:
        return []
    if isinstance(weights, Mapping):
        least = weights.get("min")
        if set(weights) != {"min"} or not (is_number(least) and least > 0):
            return [("weights", f"{dict(weights)!r} is not {{min: a positive number}}")]
        if k is not None and least * k > 1:
            return [("weights.min", f"{least} is more than 1 / n_components = {1 / k:.4g}")]
        return []
    if not (isinstance(weights, list | tuple) and all(is_number(w) and w > 0 for w in weights)):
        what = "neither a list of positive numbers, nor {min: smallest weight}, nor null"
        return [("weights", f"{weights!r} is {what}")]
    if k is not None and len(weights) != k:
        return [("weights", f"has {len(weights)} numbers for {k} components")]
    if abs(sum(weights) - 1) > 1e-6:
        return [("weights", f"sum to {sum(weights):.8g}, not 1")]
    return []
