"""Videos by emlib beside ehtim's StarWarps, from the same visibilities: quality and seconds.

    python -m benchmarks.starwarps PYTHON 4      # four seeds
    python -m benchmarks.starwarps PYTHON tune   # StarWarps' settings, anew

PYTHON belongs to an environment of its own with ehtim, which emlib never imports (it is under the
GPL):  python -m venv ehtim && ehtim/bin/pip install ehtim==1.3.2;  then PYTHON is ehtim/bin/python.

StarWarps' settings are those with the lowest error against the *true* frames, over noise of seeds
that are not reported: more than anyone has who images.  It is also told the true flux.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.imaging import climbed, drawn, scores_of, starts_of
from emlib.data import Visibilities
from emlib.study.scores import image_scores

PIXELS = 16
ROTATION = 12.0
ITERATIONS = 8
"""Of StarWarps' EM over the motion."""

TUNING_SEEDS = (100, 101)
GRID: dict[str, tuple[Any, ...]] = {
    "pulse": ("delta", "rectangle", "triangle"),
    "process": (0.02, 0.06, 0.2, 0.6, 2.0, 6.0),
    "fraction": (0.5, 1.0, 2.0),
    "dropoff": (1.0, 2.0, 3.0, 4.0),
    "fwhm": (50.0, 60.0, 70.0),
}
START: dict[str, Any] = {
    "pixels": PIXELS, "field_of_view": 160.0, "flux": 2.0, "fwhm": 60.0, "dropoff": 2.0,
    "fraction": 0.5, "process": 0.2, "pulse": "delta",
}  # fmt: skip
"""Near those of ehtim's own example, whose process noise is 0.02 in these units."""

STILL = START | {"rotation": 0.0, "iterations": 0}
KNOWN = START | {"rotation": ROTATION, "iterations": 0}
LEARNED = START | {"iterations": ITERATIONS}


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
    for name, rotations, held in (
        ("emlib, motion known", [ROTATION], ("rotation",)),
        ("emlib, best of five starts by its loglik", starts_of(seed), ()),
    ):
        began = time.process_time()
        ends = [climbed(data, start, pixels=PIXELS, held=held) for start in rotations]
        seconds = time.process_time() - began
        best = max(ends, key=lambda end: float(end.loglik_))
        rows[name] = row(name, scores_of(best, truth), float(best.rotation_), seconds)
    learned = [LEARNED | {"rotation": start} for start in starts_of(seed)]
    still, known, *ends = starwarps(python, data, [STILL, KNOWN, *learned])
    scores = [image_scores(end["frames"], truth, 160.0) for end in ends]
    by_loglik = int(np.argmax([end["loglik"] for end in ends]))
    by_truth = int(np.argmin([score["nrmse"] for score in scores]))
    seconds = sum(float(end["seconds"]) for end in ends)
    for name, end in (
        ("StarWarps, no motion", still),
        ("StarWarps, motion known", known),
        ("StarWarps, best of five starts by its likelihood", ends[by_loglik]),
        ("StarWarps, best of five starts by the true frames", ends[by_truth]),
    ):
        took = float(end["seconds"]) if end is still or end is known else seconds
        found = image_scores(end["frames"], truth, 160.0)
        rows[name] = row(name, found, float(end["rotation"]), took)
    return rows


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


def main(python: str, what: str) -> None:
    """Print a table a seed and one of means; or tuned settings."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    if what == "tune":
        known = tuned(python, START | {"rotation": ROTATION, "iterations": 0}, list(GRID))
        print(known, flush=True)
        print(tuned(python, known | {"rotation": 0.0}, ["process", "fraction", "dropoff"]))
        learned = known | {"rotation": 20.0, "iterations": ITERATIONS}
        print(tuned(python, learned, ["process"]))
        return
    rows = []
    for seed in range(int(what)):
        print(f"seed {seed}", flush=True)
        rows.append(compared(python, seed))
    print(f"mean of {what}
| | NRMSE | NCC | dynamic NRMSE | rotation off by | CPU s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in rows[0]:
        means = np.mean([one[name] for one in rows], axis=0)
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:])
