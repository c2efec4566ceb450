"""Made-up studies for the report's tests, and frames of a few fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emlib.report import figures
from emlib.report.build import build_report
from tests.report.fake_study import FakeStudy


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole study with its report."""
    root = FakeStudy(tmp_path_factory.mktemp("results") / "whole").write()
    build_report(root)
    return root


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures without pictures, for tests that do not look at them."""
    monkeypatch.setattr(figures, "to_svg", lambda chart: "<svg></svg>")
    monkeypatch.setattr(figures.vl_convert, "svg_to_pdf", lambda svg: b"%PDF")


@pytest.fixture
def small(tmp_path: Path) -> FakeStudy:
    """A study of two datasets and three inits, not written yet."""
    return FakeStudy(
        tmp_path / "small",
        datasets={"faithful": 0.3, "high": -0.15},
        rates=(0.0, 0.2),
        inits=("kmeans", "random", "truth"),
        replicates=4,
        restarts=2,
        block_size=2,
    )


def fit_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Fits that are converged hits at loglik -100 of data set D, but for what the rows say."""
    common = {
        "dataset": "a",
        "missingness": "none",
        "model": "m",
        "init": "random",
        "data_id": "D",
        "status": "converged",
        "flags": "",
        "status_polished": "converged",
        "loglik": -100.0,
        "loglik_polished": -100.0,
        "replicate": 0,
        "start": 0,
        "cell": 0,
        "e_steps_init": 1.0,
        "e_steps_climb": 9.0,
        "seconds_init": 0.1,
        "seconds_climb": 0.9,
    }
    named = [{"fit_id": f"f{k}"} | common | row for k, row in enumerate(rows)]
    return pd.DataFrame([{"end": row["loglik_polished"]} | row for row in named])


def reference_frame(loglik: float = -100.0, with_spurious: float = np.nan) -> pd.DataFrame:
    """One reference search, of data set D."""
    row = {"dataset": "a", "missingness": "none", "model": "m", "data_id": "D", "replicate": 0}
    return pd.DataFrame([row | {"loglik": loglik, "loglik_with_spurious": with_spurious}])
