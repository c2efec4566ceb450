"""The example of an own model: its length, its page, and the published numbers."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emlib.algorithms import Stopping, climb
from tests.families.case_own_model import own_model

REPOSITORY = Path(__file__).parents[2]
HEADS = np.array([[5.0], [9.0], [8.0], [4.0], [7.0]])
START = own_model.Coins(np.array([0.6, 0.5]))


def after(iterations):
    model = own_model.CoinsModel()
    return climb(model, model.view(HEADS), START, stopping=Stopping(tol=0, max_iter=iterations))


def test_it_takes_the_path_of_do_and_batzoglou(reference_values):
    case = reference_values["coins_do_batzoglou_2008"]
    expected, tolerance = case["expected"], case["tolerance"]["param_abs"]
    assert case["data"]["heads"] == HEADS[:, 0].tolist()
    model = own_model.CoinsModel()
    data = model.view(HEADS)
    coins = model.posterior(START, data).responsibilities[:, 0]
    assert coins == pytest.approx(expected["resp_A_iter1"], abs=5e-5)
    sums = model.e_step(START, data)
    assert sums.heads == pytest.approx(expected["expected_heads_iter1_AB"], abs=tolerance)
    assert sums.tails == pytest.approx(expected["expected_tails_iter1_AB"], abs=tolerance)
    assert after(1).params.chances == pytest.approx(expected["theta_iter1"], abs=tolerance)
    assert after(10).params.chances == pytest.approx(expected["theta_iter10"], abs=tolerance)
    end = after(200)
    assert end.params.chances == pytest.approx(expected["theta_converged"], abs=tolerance)
    wanted = expected["loglik_binomial"]
    assert end.loglik == pytest.approx(wanted, abs=case["tolerance"]["loglik_abs"])


def test_it_runs_as_a_script_in_under_sixty_lines():
    path = REPOSITORY / "examples" / "own_model.py"
    assert len(path.read_text().splitlines()) < 60
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert "chances=array([0.79" in done.stdout


def test_its_page_shows_an_estimator_that_works():
    page = (REPOSITORY / "docs" / "own_model.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"CoinsModel": own_model.CoinsModel}
    exec(code, names)
    fit = names["model"]
    assert fit.loglik_ == pytest.approx(-9.7969, abs=2e-3)
    assert np.isfinite(fit.standard_errors()["chances"]).all()
    assert fit.impute([[np.nan]])[0, 0] == pytest.approx(5 * fit.chances_.sum())
