"""Fixtures that many tests share."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

# Tests run side by side: threads of BLAS would wait for one another, at five times the CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "shared" / "reference"

# A run in the background may ignore Ctrl-C, and all that it starts with it; some tests send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests write plugins of their own; those of permission itself take this away.
os.environ["EMLIB_ALLOW_PLUGINS"] = "1"

# The same examples each time, so that a change is judged by what it changes. Before a release, look
# further: pytest -n 2 --hypothesis-profile=explore
settings.register_profile("default", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)  # before xdist's own, which reads the marks
def pytest_collection_modifyitems(items):
    """Spread tests over processes by file, families and ready-made studies one by one; those on
    Dask share their cluster. Families come last: they are many and short, so that both processes
    end at the same time."""
    items.sort(key=lambda item: item.path.relative_to(HERE).parts[0] == "families")
    for item in items:
        path = item.path.relative_to(HERE)
        if path.parts[0] != "families" and path.name != "test_ready_made_studies.py":
            group = "distributed" if path.parts[0] == "distributed" else str(path)
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter):
    """Seconds of each folder's tests, set-up included, summed over processes."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                folder, _, rest = report.nodeid.removeprefix("tests/").partition("/")
                seconds[folder if rest else "the rest"] += report.duration
    if len(seconds) > 1:
        terminalreporter.section("seconds by folder")
        for folder, spent in seconds.most_common():
            terminalreporter.write_line(f"{spent:8.1f}  {folder}")


@pytest.fixture(scope="session")
def reference_values():
    """Published values by id; they are not part of the project."""
    path = REFERENCE / "reference_values.json"
    if not path.exists():
        pytest.skip(f"reference values are not here: {path.name} is kept outside the project")
    return {case["id"]: case for case in json.loads(path.read_text())}


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)


def mixture_rows(rng, n, d, k, missing=0.0, scale=1.0, shift=0.0):
    """Rows of a random mixture with cells missing completely at random."""
    centres = rng.normal(scale=3.0, size=(k, d))
    x = centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    x = x * scale + shift
    x[rng.random(x.shape) < missing] = np.nan
    return x


def random_params(rng, d, k):
    """Random weights, means and full covariances."""
    root = rng.normal(size=(k, d, d + 2))
    covariances = root @ root.transpose(0, 2, 1) / d + 0.3 * np.eye(d)
    return rng.dirichlet(np.full(k, 3.0)), rng.normal(size=(k, d)) * 2, covariances
