"""A Slurm of one node for the tests, started by the script beside this file."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cluster")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
PLUGIN = "snakemake_executor_plugin_slurm"
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of whoever submits to the cluster; it stands until the last test has ended."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=SEARCHED)]
    if absent or not find_spec(PLUGIN):
        what = ", ".join([*absent, *([] if find_spec(PLUGIN) else [PLUGIN])])
        pytest.skip(f"Slurm is not installed here (no {what}); .ci/run installs it")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([SCRIPT, "start", folder], check=True, timeout=120)
        path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
        yield {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False, timeout=120)
