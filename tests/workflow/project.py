"""A throw-away project on disk that really runs Snakemake: the repository's rules, a tiny study."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emlib.study.journal import Damage, read_journal
from emlib.study.paths import BLOCK_KINDS, StudyPaths
from emlib.study.store import Store
from tests.study.small_study import CONFIG, DRAWN

REPOSITORY = Path(__file__).resolve().parents[2]
SNAKEMAKE = (sys.executable, "-m", "snakemake")
EMLIB = (sys.executable, "-m", "emlib")
SOURCES = ("Snakefile", "rules", "profiles")

TINY: dict[str, Any] = {
    **CONFIG,
    "study": "tiny",
    "seed": 7,
    "datasets": {
        "drawn": {**DRAWN, "overlap": {"mean": 0.02}},
        "faithful": {"table": "faithful"},
    },
    "exclude": [{"dataset": "faithful", "missingness": "mcar-0.2"}],
    "replicates": 2,
    "block_size": 1,
    "reference": {"starts": 5, "e_steps": 500},
}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and all that it printed."""

    code: int
    output: str


class Project:
    """A folder with the repository's Snakefile, rules and profile, and a config of its own.

    Parameters
    ----------
    root : Path
        A folder that is made, or a copy of another project's.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        for name in SOURCES:
            if not (self.root / name).exists():
                (self.root / name).symlink_to(REPOSITORY / name)
        self.config = copy.deepcopy(TINY)

    def copy(self, root: Path) -> "Project":
        """The same project elsewhere, results and Snakemake's memory of them included."""
        shutil.copytree(self.root, root, symlinks=True)
        twin = Project(root)
        twin.config = copy.deepcopy(self.config)
        return twin

    # --- running ---

    def write(self, name: str = "config.yaml", **changes: Any) -> Path:
        """Write the config with some of its keys changed, for good."""
        self.config.update(changes)
        return self.write_text(yaml.safe_dump(self.config, sort_keys=False), name)

    def write_text(self, text: str, name: str = "config.yaml") -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The tests' own, without what would change how a study runs."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "MLFLOW"))}
        return {**kept, **(extra or {})}

    def snakemake(
        self, *arguments: str, cores: int = 2, env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run ``snakemake --cores N ARGUMENTS``."""
        return self._run([*SNAKEMAKE, "--cores", str(cores), *arguments], env)

    def start(
        self, *arguments: str, cores: int = 2, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own, and do not wait."""
        return subprocess.Popen(
            [*SNAKEMAKE, "--cores", str(cores), *arguments],
            cwd=self.root,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def emlib(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run ``emlib ARGUMENTS``."""
        return self._run([*EMLIB, *arguments], env)

    def _run(self, command: list[str], env: Mapping[str, str] | None) -> Ran:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    # --- looking ---

    @property
    def paths(self) -> StudyPaths:
        return StudyPaths(self.root / "results" / self.config["study"])

    def block_files(self, *kinds: str) -> dict[str, bytes]:
        """Content of the blocks' files, by their path in the study's folder."""
        found = {}
        for kind in kinds or BLOCK_KINDS:
            for path in sorted((self.paths.root / kind).glob("*/*/*/*.parquet")):
                found[str(path.relative_to(self.paths.root))] = path.read_bytes()
        return found

    def events(self) -> list[dict[str, Any]]:
        """What the block jobs said of themselves, oldest first."""
        path = self.paths.events
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def computed_again(self) -> list[str]:
        """Results that the store holds more than once: each time, one was computed in vain."""
        store = Store(self.paths.store)
        counts = Counter(
            item[0]
            for data_id in store.shards()
            for path in store.journals(data_id)
            for item in read_journal(path)
            if not isinstance(item, Damage)
        )
        return [identity for identity, number in counts.items() if number > 1]

    def forget_events(self) -> None:
        self.paths.events.unlink(missing_ok=True)
