"""Are images and videos found again, over seeds?  Prints a line a seed, then a summary.

    python -m benchmarks.imaging video 10        # a spot that orbits by 12 degrees a frame
    python -m benchmarks.imaging video 5 0.75    # with 75 % of the visibilities dropped
    python -m benchmarks.imaging image 10        # Sgr A*: learned against fixed band variances

One thread, for the times: set OMP_NUM_THREADS=1.
"""

import sys
import time
import warnings
from typing import Any

import numpy as np
from scipy.stats import t as student_t
from sklearn.exceptions import ConvergenceWarning

from emlib import GaussianImage, RotatingVideo
from emlib.data import Visibilities
from emlib.datasets import GENERATORS
from emlib.inits import make_init
from emlib.study.scores import image_scores

ROTATIONS = (-20.0, -12.0, 0.0, 20.0)
"""Starts beside a random one, degrees a frame; the truth is 12."""


def drawn(family: str, seed: int, dropped: float) -> tuple[Visibilities, Any]:
    """Visibilities of the generator's default sky, and its truth."""
    rng = np.random.default_rng(seed)
    generator = GENERATORS[family]
    truth = generator.draw_truth({}, rng)
    data = generator.draw_rows({}, truth, rng)
    values = data.values.copy()
    values[rng.random(len(values)) < dropped] = np.nan
    return Visibilities.from_arrays(values, **data.extras), truth


def video(seed: int, dropped: float) -> bool:
    """The best of five starts; whether it reaches the goals."""
    data, truth = drawn("rotating_video", seed, dropped)
    others = np.random.default_rng(seed).uniform(-30.0, 30.0)
    began, ends = time.process_time(), []
    for rotation in (*ROTATIONS, others):
        init = make_init("motion", {"lowest": rotation, "highest": rotation})
        model = RotatingVideo(init_params=init, n_init=1, algorithm="squarem", max_iter=25)
        ends.append(model.fit(data))
    seconds = time.process_time() - began
    best = max(ends, key=lambda end: float(end.loglik_))
    found = image_scores(best.frames_.reshape(len(best.frames_), -1), truth, best.field_of_view)
    reached = ", ".join(f"{float(end.rotation_):.2f} ({end.loglik_:.0f})" for end in ends)
    print(
        f"seed {seed}: rotation {float(best.rotation_):.3f}, NRMSE {found['nrmse']:.3f}, "
        f"NCC {found['ncc']:.3f}, dynamic {found['dynamic_nrmse']:.3f}; starts came to {reached}; "
        f"{seconds:.0f} s",
        flush=True,
    )
    close = abs(float(best.rotation_) - 12.0) < (0.5 if dropped else 0.2)
    return bool(close and found["nrmse"] < 0.28 and found["dynamic_nrmse"] < 0.2)


def image(seed: int, dropped: float) -> tuple[float, float]:
    """NCC of learned and of fixed band variances."""
    data, truth = drawn("gaussian_image", seed, dropped)
    both = []
    for held in ((), ("band_variances",)):
        model = GaussianImage(held=held).fit(data)
        both.append(image_scores(model.image_.reshape(1, -1), truth, model.field_of_view)["ncc"])
    print(f"seed {seed}: NCC {both[0]:.4f} learned, {both[1]:.4f} fixed", flush=True)
    return both[0], both[1]


def main(what: str, seeds: int, dropped: float) -> None:
    """Print what was found."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    if what == "video":
        reached = [video(seed, dropped) for seed in range(seeds)]
        print(f"goals reached in {sum(reached)} of {seeds} seeds")
        return
    learned, fixed = np.array([image(seed, dropped) for seed in range(seeds)]).T
    difference = learned - fixed
    error = difference.std(ddof=1) / np.sqrt(seeds)
    half = student_t.ppf(0.975, seeds - 1) * error
    mean = difference.mean()
    print(
        f"NCC {learned.mean():.4f}, at least {learned.min():.4f}; learned minus fixed "
        f"{mean:.4f}, 95 % interval {mean - half:.4f} to {mean + half:.4f}"
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0], int(given[1]), float(given[2]) if len(given) > 2 else 0.0)
