"""Images and videos from visibilities in the contract tests."""

from dataclasses import replace

import numpy as np
from scipy.stats import multivariate_normal

from emlib.data.sky import stacked
from emlib.study.small_problems import problem
from tests.families.contract import Family, Moved, rebuilt
from tests.imaging_twins import dense_law


class ImagingCase(Family):
    classes = False
    weighted = False
    complete_information = False
    draws_cells = False

    def __init__(self, family, **settings):
        self.name, self.settings = family, settings

    def view(self, rng, n):
        """About n visibilities of the coverage of the small problem."""
        whole = problem(self.name, False)
        model, data = whole.model(whole.view()), whole.view()
        model = replace(model, **self.settings)
        return model, rebuilt(model, data, np.sort(rng.choice(data.n, n, replace=False)))

    def draw(self, rng, n=40, missing=0.2):
        model, data = self.view(rng, n)
        model = model.prepare(data)
        params = self.perturbed(rng, model.random_start(data, rng))
        data = model.bootstrapped(params, data, rng)
        hidden = rng.random(data.n) < missing
        hidden[:2] = False
        data = replace(data, values=np.where(hidden, np.nan, data.values))
        return model.prepare(data), params, data

    def perturbed(self, rng, params):
        return replace(params, noise_scale=np.asarray(np.exp(0.3 * rng.normal())))

    def magnitude(self, model, end, data):
        """A determinant of numbers in units of the noise is rounded by its trace."""
        return model.e_step(end.params, data).magnitude

    def small(self, rng):
        problems = [self.view(rng, n) for n in (1, 2, 3)]
        model, data = problems[-1]
        hidden = replace(data, values=np.full(data.n, np.nan + 0j))
        return [*problems, (model, hidden)]

    def brute_loglik(self, model, params, data):
        mean, covariance = dense_law(model, params, data)
        seen = stacked(data.values[data.observed])
        return float(multivariate_normal(mean, covariance).logpdf(seen))

    def moved(self, rng, model, params, data):
        scale = rng.uniform(0.1, 10.0)
        squares = {name: getattr(params, name) * scale**2 for name in self.variances}
        there = replace(params, flux=params.flux * scale, **squares)
        view = replace(data, values=data.values * scale, sigmas=data.sigmas * scale)
        gain = -2.0 * data.observed.sum() * np.log(scale)
        return [Moved("another unit of flux", there, view, gain)]


class ImageCase(ImagingCase):
    variances = ("band_variances",)


class VideoCase(ImagingCase):
    ends_inside = False  # on few frames one of the two variances goes to 0, slowly
    variances = ("static_variance", "moving_variance")

    def perturbed(self, rng, params):
        params = super().perturbed(rng, params)
        return replace(params, correlation=np.asarray(rng.uniform(0.3, 0.8)))


CASES = [ImageCase("gaussian_image", n_bands=2), VideoCase("rotating_video", n_states=6)]
