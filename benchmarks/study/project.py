"""A folder that really runs the repository's rules on a study of the benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOOKS = Path(__file__).resolve().parent / "hooks"
SOURCES = ("Snakefile", "rules", "profiles")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a command with all its children, wall seconds, and the largest process."""

    cpu: float
    wall: float
    megabytes: float


class Project:
    """The repository's Snakefile, rules and profile in a folder of its own.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        for name in SOURCES:
            if not (self.root / name).exists():
                (self.root / name).symlink_to(REPOSITORY / name)

    @property
    def accounts(self) -> Path:
        """Where the hooks write what each process cost."""
        return self.root / "accounts"

    def snakemake(self, *arguments: str, cores: int = 2, accounted: bool = False) -> Cost:
        """Run Snakemake here.

        Raises
        ------
        CalledProcessError
            If it fails; what it said is in ``snakemake.log``.
        """
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments]
        return self.run(command, "snakemake.log", accounted)

    def emlib(self, *arguments: str) -> Cost:
        """Run ``emlib`` here."""
        return self.run([sys.executable, "-m", "emlib", *arguments], "emlib.log")

    def run(self, command: list[str], log: str, accounted: bool = False) -> Cost:
        """Run a command in a process that measures it."""
        paths = [str(REPOSITORY)]
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as where it is installed
        if accounted:
            self.accounts.mkdir(exist_ok=True)
            environment["EMLIB_ACCOUNTS"] = str(self.accounts)
            paths.insert(0, str(HOOKS))
        environment["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
        with (self.root / log).open("w") as out:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.study.measured", *command],
                cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=out, check=True,
            )  # fmt: skip
        return Cost(**json.loads(done.stdout))
