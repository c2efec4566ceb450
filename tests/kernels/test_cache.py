"""The cache of compiled kernels: found again by a second process, never stale."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import emlib
from emlib.kernels.cache import cache_base, configure_cache

PACKAGE = Path(emlib.__file__).parent
CALLEE = "from numba import njit\n\n\n@njit(cache=True)\ndef callee(x):\n    return x + {}\n"
CALLER = (
    "from numba import njit\n\nfrom emlib.kernels.callee import callee\n\n\n"
    "@njit(cache=True)\ndef caller(x):\n    return 10 * callee(x)\n"
)
ASK = (
    "from emlib.kernels.caller import caller\n"
    "value = caller(1)\n"
    "stats = caller.stats\n"
    "print(value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))\n"
)


@pytest.fixture
def package(tmp_path):
    """A copy of emlib's cache machinery with two kernels of its own."""
    kernels = tmp_path / "emlib" / "kernels"
    kernels.mkdir(parents=True)
    for name in ("__init__.py", "sources.py", "kernels/__init__.py", "kernels/cache.py"):
        shutil.copy(PACKAGE / name, tmp_path / "emlib" / name)
    (kernels / "callee.py").write_text(CALLEE.format(1))
    (kernels / "caller.py").write_text(CALLER)
    return tmp_path


def ask(package):
    environment = {
        **os.environ,
        "PYTHONPATH": str(package),
        "EMLIB_CACHE_DIR": str(package / "cache"),
    }
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(
        command, cwd=package, env=environment, capture_output=True, text=True, check=True
    )
    return [int(number) for number in done.stdout.split()]


def test_a_second_process_does_not_compile_and_an_edited_callee_gives_new_numbers(package):
    assert ask(package) == [20, 0, 1]
    assert ask(package) == [20, 1, 0]
    (package / "emlib" / "kernels" / "callee.py").write_text(CALLEE.format(2))
    assert ask(package) == [30, 0, 1]


def test_the_folder_names_code_numba_and_processor_below_the_chosen_base(tmp_path, monkeypatch):
    monkeypatch.setenv("EMLIB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    import numba
    from llvmlite.binding import get_host_cpu_name

    monkeypatch.setattr(numba.config, "CACHE_DIR", "elsewhere")
    folder = configure_cache()
    assert folder.parent == tmp_path
    assert f"-{numba.__version__}-{get_host_cpu_name()}" in folder.name
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR == str(folder)


def test_the_base_is_the_users_cache_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("EMLIB_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform != "darwin":
        assert cache_base() == tmp_path / "emlib"
