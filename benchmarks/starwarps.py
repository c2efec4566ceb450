"""Videos by emlib beside ehtim's StarWarps, from the same visibilities: quality and seconds.

    python -m benchmarks.starwarps PYTHON 4      # four seeds
    python -m benchmarks.starwarps PYTHON tune   # StarWarps' settings, anew

PYTHON belongs to an environment of its own with ehtim, which emlib never imports (it is under the
GPL):  python -m venv ehtim && ehtim/bin/pip install ehtim==1.3.2;  then PYTHON is ehtim/bin/python.

StarWarps' settings are those with the lowest error against the *true* frames, over noise of seeds
that are not reported: more than anyone has who images.  It is also told the true flux.  emlib is
shown with its defaults, and with two settings found in the same manner; all else it learns.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.imaging import drawn, scores_of
from emlib import RotatingVideo
from emlib.data import Visibilities
from emlib.models.imaging.video import RotatingVideoModel
from emlib.study.scores import image_scores

PIXELS = 16
ROTATION = 12.0
STARTS = (0.0, 20.0)
"""Rotations that both start from where they learn it: no motion, and one that is within reach."""
ITERATIONS = 6
"""Of StarWarps' EM over the motion."""

TUNING_SEEDS = (100, 101)
GRID: dict[str, tuple[Any, ...]] = {
    "pulse": ("delta", "rectangle", "triangle"),
    "fwhm": (30.0, 35.0, 40.0, 45.0, 50.0, 60.0),
    "process": (0.06, 0.12, 0.25, 0.5, 1.5),
    "fraction": (1.0, 2.0, 4.0),
    "dropoff": (0.5, 1.0, 1.5),
}
EMLIB: dict[str, Any] = {"prior_fwhm": 55.0, "static_variance": 0.1}
EMLIB_GRID = {"prior_fwhm": (40.0, 45.0, 50.0, 55.0, 60.0), "static_variance": (0.03, 0.1, 0.3)}
START: dict[str, Any] = {
    "pixels": PIXELS, "field_of_view": 160.0, "flux": 2.0, "fwhm": 35.0, "dropoff": 1.0,
    "fraction": 2.0, "process": 0.25, "pulse": "delta",
}  # fmt: skip
"""What ``tune`` finds; ehtim's example has a triangle, fwhm 50, dropoff 2, fraction 0.5 and, in
these units, process 0.02."""

STILL = START | {"process": 1.5, "rotation": 0.0, "iterations": 0}
KNOWN = START | {"rotation": ROTATION, "iterations": 0}
LEARNED = START | {"fwhm": 60.0, "dropoff": 2.0, "fraction": 0.5, "iterations": ITERATIONS}
"""Narrower priors make matrices that its EM inverts singular: with those above, it goes astray."""
LEARNED_GRID = {"fwhm": (60.0,), "process": (0.1, 0.25, 0.5)}


def starwarps(python: str, data: Visibilities, settings: list[dict[str, Any]]) -> list[Any]:
    """What StarWarps gives with each of these settings: see ``starwarps_peer``."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        np.savez(
            where / "data.npz",
            values=data.values, sigmas=data.sigmas, uv=np.column_stack([data.u, data.v]),
            baselines=np.column_stack([data.station1, data.station2]),
            stations=np.array(data.stations), frames=data.frames,
        )  # fmt: skip
        (where / "settings.json").write_text(json.dumps(settings))
        names = [str(where / name) for name in ("data.npz", "settings.json", "result.npz")]
        peer = Path(__file__).with_name("starwarps_peer.py")
        unlike = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run(
            [python, str(peer), *names],
            check=True, env=unlike | {"MPLBACKEND": "agg"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with np.load(where / "result.npz") as found:
            fields = ("frames", "rotation", "loglik", "seconds")
            return [
                {name: found[f"{name}{number}"] for name in fields}
                for number in range(len(settings))
            ]


def row(name: str, found: dict[str, float], rotation: float, seconds: float) -> list[float]:
    """Print scores, error of the rotation, and CPU seconds; return them."""
    numbers = [found["nrmse"], found["ncc"], found["dynamic_nrmse"], abs(rotation - ROTATION)]
    print(
        f"| {name} | " + " | ".join(f"{number:.3f}" for number in numbers) + f" | {seconds:.1f} |",
        flush=True,
    )
    return [*numbers, seconds]


def compared(python: str, seed: int) -> dict[str, list[float]]:
    """One noise seed, by every method."""
    data, truth = drawn("rotating_video", seed, 0.0)
    rows = {}
    for name, rotations, settings in (
        ("emlib, motion known", [ROTATION], {"known": True}),
        ("emlib, best of two starts by its loglik", STARTS, {}),
        ("emlib tuned, motion known", [ROTATION], EMLIB | {"known": True}),
        ("emlib tuned, best of two starts by its loglik", STARTS, EMLIB),
    ):
        began = time.process_time()
        ends = [fitted(data, start, **settings) for start in rotations]
        seconds = time.process_time() - began
        best = max(ends, key=lambda end: float(end.loglik_))
        rows[name] = row(name, scores_of(best, truth), float(best.rotation_), seconds)
    learned = [LEARNED | {"rotation": start} for start in STARTS]
    still, known, *ends = starwarps(python, data, [STILL, KNOWN, *learned])
    scores = [image_scores(end["frames"], truth, 160.0) for end in ends]
    by_loglik = int(np.argmax([end["loglik"] for end in ends]))
    by_truth = int(np.argmin([score["nrmse"] for score in scores]))
    seconds = sum(float(end["seconds"]) for end in ends)
    for name, end in (
        ("StarWarps, no motion", still),
        ("StarWarps, motion known", known),
        ("StarWarps, best of two starts by its likelihood", ends[by_loglik]),
        ("StarWarps, best of two starts by the true frames", ends[by_truth]),
    ):
        took = float(end["seconds"]) if end is still or end is known else seconds
        found = image_scores(end["frames"], truth, 160.0)
        rows[name] = row(name, found, float(end["rotation"]), took)
    return rows


def fitted(
    data: Visibilities, rotation: float, known: bool = False, prior_fwhm: float = 60.0,
    static_variance: float | None = None,
) -> RotatingVideo:  # fmt: skip
    """A climb of emlib from this rotation, which stays if it is known; so does a given variance."""
    model = RotatingVideoModel(pixels=PIXELS, prior_fwhm=prior_fwhm)
    start = asdict(model.motion_start(data, rotation))
    held = ["rotation"] if known else []
    if static_variance is not None:
        start["static_variance"] = np.asarray(static_variance)
        held.append("static_variance")
    return RotatingVideo(
        pixels=PIXELS, prior_fwhm=prior_fwhm, held=held, init_params=start, n_init=1,
        algorithm="squarem", max_iter=25,
    ).fit(data)  # fmt: skip


def tuned_emlib() -> None:
    """Print the mean NRMSE over the tuning seeds, the motion known, by settings."""
    skies = [drawn("rotating_video", seed, 0.0) for seed in TUNING_SEEDS]
    for prior_fwhm, static_variance in product(*EMLIB_GRID.values()):
        settings = {"prior_fwhm": prior_fwhm, "static_variance": static_variance}
        ends = [fitted(data, ROTATION, known=True, **settings) for data, _ in skies]
        nrmses = [scores_of(end, sky[1])["nrmse"] for end, sky in zip(ends, skies, strict=True)]
        print(f"{settings}: {np.mean(nrmses):.4f}", flush=True)


def tuned(python: str, start: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The settings of the least mean NRMSE over the tuning seeds, one after the other, until none
    changes."""
    skies = [drawn("rotating_video", seed, 0.0) for seed in TUNING_SEEDS]
    errors: dict[str, float] = {}
    best = start
    while True:
        before = best
        for name in names:
            tried = [best | {name: value} for value in GRID[name]]
            new = [one for one in tried if json.dumps(one) not in errors]
            errors.update(dict.fromkeys(map(json.dumps, new), 0.0))
            for data, truth in skies if new else ():
                for one, end in zip(new, starwarps(python, data, new), strict=True):
                    nrmse = image_scores(end["frames"], truth, 160.0)["nrmse"]
                    errors[json.dumps(one)] += nrmse / len(skies)
            best = min(tried, key=lambda one: errors[json.dumps(one)])
            for one in new:
                print(f"{name} {one[name]}: {errors[json.dumps(one)]:.4f}", flush=True)
        if best == before:
            return best


def tuned_learned(python: str) -> None:
    """Print the NRMSE of a learned motion on a tuning seed, by settings."""
    data, truth = drawn("rotating_video", TUNING_SEEDS[0], 0.0)
    for values in product(*LEARNED_GRID.values()):
        settings = dict(zip(LEARNED_GRID, values, strict=True))
        (end,) = starwarps(python, data, [LEARNED | settings | {"rotation": STARTS[1]}])
        nrmse = image_scores(end["frames"], truth, 160.0)["nrmse"]
        print(f"{settings}: {nrmse:.4f}, rotation {end['rotation']:.2f}", flush=True)


def main(python: str, what: str) -> None:
    """Print a table a seed and one of means; or tuned settings."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    if what == "tune":
        tuned_emlib()
        known = tuned(python, START | {"rotation": ROTATION, "iterations": 0}, list(GRID))
        print(known, flush=True)
        print(tuned(python, known | {"rotation": 0.0}, ["process", "fraction"]))
        tuned_learned(python)
        return
    rows = []
    for seed in range(int(what)):
        print(f"seed {seed}", flush=True)
        rows.append(compared(python, seed))
    print(f"mean of {what}")
    print("| | NRMSE | NCC | dynamic NRMSE | rotation off by | CPU s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in rows[0]:
        means = np.mean([one[name] for one in rows], axis=0)
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:])
