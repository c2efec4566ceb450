"""Two coins (Do and Batzoglou 2008): a row counts the heads of either; nobody knows of which."""

from dataclasses import make_dataclass

import numpy as np
from scipy import special, stats

from emlib.algorithms import climb
from emlib.models import EXACT, Model, Posteriors, Step

Coins = make_dataclass("Coins", ["chances"])  # parameters: each coin's chance of heads
Tosses = make_dataclass("Tosses", ["heads", "tails", "loglik", "magnitude"])  # expected sums


class CoinsModel(Model):
    family, n_components, cycle, n = "coins", 2, (Step(frozenset({"chances"})),), 10
    posteriors = sums = frozenset()  # its E-step knows the exact posterior, its sums do not add

    def posterior(self, params, data):
        joint = np.log(0.5) + np.nan_to_num(stats.binom.logpmf(data.values, self.n, params.chances))
        coins, loglik = special.softmax(joint, axis=1), special.logsumexp(joint, axis=1)
        heads = np.where(data.observed, data.values, self.n * coins @ params.chances[:, None])
        return Posteriors(loglik, coins, heads)

    def e_step(self, params, data, posterior=EXACT):
        loglik, coins, _, _ = self.posterior(params, data)
        return Tosses(*self.split(data, coins), data.weights @ loglik, data.weights @ abs(loglik))

    def split(self, data, coins):
        coins = coins * data.observed * data.weights[:, None]
        return np.nansum(coins * data.values, axis=0), np.nansum(coins * (self.n - data.values), 0)

    def m_step(self, tosses, params, free=None):
        return Coins(tosses.heads / (tosses.heads + tosses.tails))

    def q(self, tosses, params):
        return tosses.heads @ np.log(params.chances) + tosses.tails @ np.log1p(-params.chances)

    def start(self, data, responsibilities):
        return self.m_step(Tosses(*self.split(data, responsibilities), 0.0, 0.0), None)

    def pack(self, params, coordinates="natural", around=None):
        return params.chances if coordinates == "natural" else special.logit(params.chances)

    def unpack(self, vector, around, coordinates="natural"):
        return Coins(vector if coordinates == "natural" else special.expit(vector))

    def n_parameters(self, data):
        return 2

    def sample(self, params, n, rng):
        coins = rng.integers(2, size=n)
        return rng.binomial(self.n, params.chances[coins])[:, None].astype(float), coins


if __name__ == "__main__":
    model, data = CoinsModel(), CoinsModel.view([[5], [9], [8], [4], [7]])
    end = climb(model, data, Coins(np.array([0.6, 0.5])))
    print(end.params, end.loglik)
