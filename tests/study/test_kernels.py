"""The kernels job: it compiles what it can, on each family's own data, and leaves failures to the
fits; what its components do to their process does nothing to the job."""

import subprocess
import sys

import numpy as np

from emlib.study.atomic import write_json
from emlib.study.kernels import PRACTICE_ROWS, compile_kernels, practice
from tests.study.misbehaving import WAYS, init, write_plugin
from tests.study.small_study import DRAWN

# the same whatever was compiled, so that no fit runs again for it: it must be true always
TRIED = (
    "the kernels of gaussian_mixture were called once; "
    "logs/kernels/gaussian_mixture.log says if any did not end\n"
)


def write_study(folder, models, **changes):
    study = {
        "seed": 1,
        "datasets": {"drawn": {**DRAWN, "n": 600}},
        "missingness": {"none": {"mechanism": "none", "rate": 0.0, "settings": {}}},
        "models": models,
        "inits": {
            "short_em": {
                "init": "short_em", "settings": {}, "oracle": False, "deterministic": False
            }
        },
        "algorithms": {"em": {"algorithm": "em", "settings": {}}},
        "exclude": [],
        "truths": {},
        "restarts": 1,
        "budget": {"e_steps": None, "seconds": None, "hard_seconds": 60.0},
        **changes,
    }  # fmt: skip
    write_json(folder / "study.json", study)
    return study


def gaussian(k):
    settings = {"n_components": k, "covariance_type": "full", "prior": None}
    return {"family": "gaussian_mixture", "settings": settings}


def test_a_model_too_large_for_the_practice_rows_does_not_stop_the_study(tmp_path):
    write_study(tmp_path, {str(k): gaussian(k) for k in (2, 30, 550)})
    marker = tmp_path / "gaussian_mixture.txt"
    compile_kernels(tmp_path, "gaussian_mixture", marker)
    assert marker.read_text() == TRIED


def test_practice_rows_are_the_head_of_the_data_with_holes(tmp_path):
    study = write_study(tmp_path, {"two": gaussian(2)})
    case = practice(study, "drawn", "two")
    assert case.values.shape == (PRACTICE_ROWS, 2)
    assert np.isnan(case.data.values[::5, 0]).all()
    assert case.data.observed.mean() == 0.9


def test_own_inits_that_exit_hang_or_kill_their_process_do_not_stop_the_study(tmp_path, capfd):
    (tmp_path / "armed").touch()
    write_study(
        tmp_path,
        {"two": gaussian(2)},
        plugins=[str(write_plugin(tmp_path))],
        inits={way: init(way) for way in ("random", *WAYS)},
        budget={"e_steps": None, "seconds": None, "hard_seconds": 3.0},
    )
    marker = tmp_path / "gaussian_mixture.txt"
    compile_kernels(tmp_path, "gaussian_mixture", marker)
    assert marker.read_text() == TRIED
    said = capfd.readouterr().err
    assert "drawn/two/loops: not compiled: killed after 3 s" in said
    assert "drawn/two/kills: not compiled: its worker died twice: it was ended by SIGKILL" in said
    assert said.count("not compiled") == 2
    calls = (tmp_path / "calls").read_text().split("\n")[:-1]
    once = ["eats", "exits", "loops", "nan", "raises"]
    assert sorted(calls) == sorted(f"{way} kernels" for way in (*once, "kills", "kills"))


def test_numba_comes_without_scipy_s_blas_which_comes_where_it_is_called() -> None:
    script = """
import sys
import numpy as np
from emlib.study.kernels import load_numba
load_numba()
from numba import njit, types
from numba.core.registry import cpu_target
cpu_target.target_context.refresh()
print("scipy.linalg" in sys.modules)
square = njit(lambda a: a @ a)
print(square(np.full((2, 2), 2.0)).tolist(), "scipy.linalg.cython_blas" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["False", "[[8.0, 8.0], [8.0, 8.0]] True"]
