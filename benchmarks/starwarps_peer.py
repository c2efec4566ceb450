"""ehtim's StarWarps on the visibilities of a file, once for each of some settings.

    python benchmarks/starwarps_peer.py DATA.npz SETTINGS.json RESULT.npz

Run by ``benchmarks.starwarps`` with the Python of another environment: ehtim is there, emlib is
not.  Settings are a list of mappings:

pixels, field_of_view : across the image, and microarcseconds
flux, fwhm            : of the mean image, Jy and microarcseconds
dropoff, fraction     : of its covariance, as in ``gaussImgCovariance_2``
process               : variance of the process noise, in units of the mean flux of a pixel, squared
pulse                 : "delta", "rectangle" or "triangle": what a pixel looks like
rotation              : degrees a frame, where the motion starts from
iterations            : of EM over the motion; with 0 it stays as it is
"""

import contextlib
import io
import json
import sys
import time
from typing import Any

import ehtim
import numpy as np
from ehtim.const_def import DTARR, DTPOL_STOKES
from ehtim.imaging import starwarps
from ehtim.observing import pulses
from scipy.optimize import minimize

PULSES = {
    "delta": pulses.deltaPulse2D,
    "rectangle": pulses.rectPulse2D,
    "triangle": pulses.trianglePulse2D,
}


def observations(data: Any) -> list[Any]:
    """One ``Obsdata`` a frame; place and band matter to nobody here."""
    array = np.zeros(len(data["stations"]), dtype=DTARR)
    array["site"] = data["stations"]
    found = []
    for t in range(int(data["frames"].max()) + 1):
        here = data["frames"] == t
        table = np.zeros(int(here.sum()), dtype=DTPOL_STOKES)
        table["time"] = t / 30.0
        table["t1"], table["t2"] = data["stations"][data["baselines"][here]].T
        table["u"], table["v"] = data["uv"][here].T
        table["vis"], table["sigma"] = data["values"][here], data["sigmas"][here]
        found.append(ehtim.obsdata.Obsdata(17.761121, -29.007843, 230e9, 2e9, table, array))
    return found


class Movie:
    """The state space of StarWarps under some settings."""

    def __init__(self, seen: list[Any], settings: dict[str, Any]) -> None:
        pixels, unit = settings["pixels"], ehtim.RADPERUAS
        empty = ehtim.image.make_empty(
            pixels, settings["field_of_view"] * unit, 17.761121, -29.007843, rf=230e9,
            pulse=PULSES[settings["pulse"]],
        )  # fmt: skip
        width = settings["fwhm"] * unit
        self.mean = empty.add_gauss(settings["flux"], (width, width, 0, 0, 0))
        self.covariance = starwarps.gaussImgCovariance_2(
            self.mean, powerDropoff=settings["dropoff"], frac=settings["fraction"]
        )
        self.variance = settings["process"] * (settings["flux"] / pixels**2) ** 2
        self.seen = seen
        self.basis = starwarps.affineMotionBasis_noTranslation(self.mean)

    def e_step(self, motion: Any, joint: bool) -> tuple[Any, ...]:
        """Expected images and products, and the logarithms of the likelihood."""
        process = self.variance * np.eye(len(self.mean.imvec))
        return starwarps.computeSuffStatistics(
            [self.mean], [self.covariance], self.seen, process, motion, *self.basis,
            method="phase", measurement={"vis": 1}, interiorPriors=True, numLinIters=1,
            compute_expVal_tm1_t=joint,
        )  # fmt: skip

    def m_step(self, expected: tuple[Any, ...], motion: Any) -> Any:
        """``expnegloglikelihood`` and its derivative are sums over frames: taken once, not at each
        of the minimizer's steps, which is the same and much faster."""
        before = np.sum(expected[1][:-1], axis=0)
        across = np.sum(expected[2][1:], axis=0).T

        def objective(theta: Any) -> tuple[float, Any]:
            warp = starwarps.calcWarpMtx(self.mean, theta, *self.basis, method="phase")
            moved = warp @ before
            slopes = starwarps.calc_dWarp_dTheta(self.mean, theta, *self.basis, method="phase")
            value = (0.5 * (warp * moved).sum() - (warp * across).sum()) / self.variance
            return value, np.array([((moved - across) * d).sum() for d in slopes]) / self.variance

        options = {"maxiter": 5}
        bounds = [(-1.5, 1.5)] * len(motion)
        return minimize(
            objective, motion, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x

    def fitted(self, rotation: float, iterations: int) -> dict[str, Any]:
        """Frames (T, pixels ** 2), rotation and likelihood at the last E-step."""
        angle = np.deg2rad(rotation)
        turn = np.array([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)])
        for iteration in range(iterations + 1):
            expected = self.e_step(turn, joint=iteration < iterations)
            if iteration < iterations:
                turn = self.m_step(expected, turn)
        frames = np.array([image.imvec for image in expected[0]])
        degrees = np.degrees(np.arctan2(turn[2] - turn[1], turn[0] + turn[3]))
        return {
            "frames": frames, "rotation": degrees, "loglik": float(expected[3][2]),
        }  # fmt: skip


def main(data_file: str, settings_file: str, result_file: str) -> None:
    """Write what each setting gave; its names end with its number."""
    data = dict(np.load(data_file))
    with open(settings_file) as file:
        settings = json.load(file)
    seen, results = observations(data), {}
    for number, one in enumerate(settings):
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of every frame
            found = Movie(seen, one).fitted(one["rotation"], one["iterations"])
        found["seconds"] = time.process_time() - began
        results.update({f"{name}{number}": value for name, value in found.items()})
    np.savez(result_file, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
