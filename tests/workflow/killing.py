"""Runs of Snakemake that go on beside the test, and the processes below them, to be killed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.workflow.project import Project

SLOW: dict[str, Any] = {
    "study": "faults",
    "datasets": {
        "drawn": {
            "generator": "gaussian_mixture",
            "n": 6000,
            "d": 3,
            "n_components": 4,
            "overlap": {"mean": 0.05},
        }
    },
    "missingness": [{"mechanism": "mcar", "rate": 0.2}],
    "models": {"four": {"family": "gaussian_mixture", "n_components": 4}},
    "inits": {"random": None, "kmeans": None},
    "exclude": [],
    "replicates": 4,
    "restarts": 3,
    "block_size": 2,
    "budget": {"hard_seconds": 600},
}
"""A study whose blocks take long enough to be killed half-way: two of them, 12 fits each."""


class Victim(Project):
    """A project with the slow study, run beside the test so that parts of it can be killed."""

    def __init__(self, root: Path, **changes: Any) -> None:
        super().__init__(root)
        self.write(**{**SLOW, **changes})

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run Snakemake on one core; whatever is left of it dies at the end."""
        snakemake = self.start(*arguments, cores=1)
        try:
            yield snakemake
        finally:
            for pid in working_in(self.root):
                kill(pid)
            snakemake.communicate()

    def stored_bytes(self) -> int:
        """Size of the finished fits in the store."""
        return sum(path.stat().st_size for path in self.paths.store.glob("*/*/*.journal"))

    def same_files(self) -> dict[str, bytes]:
        """Files whose bytes may not depend on how the study was run."""
        return self.block_files("fits", "curves", "references", "params", "certificates")


def kill(pid: int, blow: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, blow)
    except ProcessLookupError:
        return


def processes() -> dict[int, tuple[int, str]]:
    """Living processes: number -> parent and command line."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            command = stat.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(stat.parent.name)] = (int(parent), command)
    return found


def working_in(folder: Path) -> list[int]:
    """Processes whose working folder is this one: a project's own, orphans included."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder.resolve():
                found.append(int(link.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Processes below one, parents first."""
    table = processes()
    found = [pid]
    for one in found:
        found += [child for child, (parent, _) in table.items() if parent == one]
    return found[1:]


def below(pid: int, words: str) -> list[int]:
    """Processes below one whose command line holds these words, parents first."""
    table = processes()
    return [one for one in descendants(pid) if words in table.get(one, (0, ""))[1]]


def wait_until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What a condition gives once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not true after {seconds:g} s")
