"""Where each file of a study lies. A path names what is in it; see results/README.md.

Ids become names of folders. A config's are checked with all else in it; here they are checked
again, since a study.json may come from elsewhere: none may lead out of the study's folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emlib.errors import EmlibError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
BLOCK_KINDS = ("fits", "curves", "timings", "references", "params", "certificates")
SHOWN_BLOCKS = 4
"""Most names of missing blocks in a message."""


def block_name(block: int) -> str:
    """Four digits: block 3 is ``0003``."""
    return f"{block:04d}"


def block_number(name: str) -> int:
    """The block that ``block_name`` names so."""
    if not name.isdigit():
        raise EmlibError(f"block: {name!r} is not a number such as 0000")
    return int(name)


def study_folder(study: str, results: Path = Path("results")) -> Path:
    """A study's folder, from its name among the results or its path."""
    for folder in (Path(study), results / study):
        if (folder / "study.json").is_file():
            return folder
    found = sorted(path.parent.name for path in results.glob("*/study.json"))
    raise EmlibError(
        f"study {study!r}: neither {study}/study.json nor {results}/{study}/study.json exists "
        f"(studies here: {', '.join(found) or 'none'})"
    )


@dataclass(frozen=True)
class StudyPaths:
    """Paths of one study.

    Parameters
    ----------
    root : Path
        The study's own folder, ``results/<study>``.
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def study(self) -> Path:
        """The resolved study, which every job reads."""
        return self.root / "study.json"

    @property
    def plan(self) -> Path:
        """One row a cell, before anything runs."""
        return self.root / "plan.parquet"

    @property
    def blocks(self) -> Path:
        """The frozen block size."""
        return self.root / "blocks.json"

    @property
    def jobs(self) -> Path:
        """What Snakemake reads: each job with the digests that decide whether it runs again."""
        return self.root / "jobs.json"

    @property
    def lock(self) -> Path:
        """Held by the Snakemake that runs this study."""
        return self.root / ".lock"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def pictures(self) -> Path:
        """Images of the report, where the study's models make some."""
        return self.tables / "pictures.npz"

    @property
    def complete(self) -> Path:
        """Present only when nothing is missing."""
        return self.root / "complete.json"

    @property
    def receipt(self) -> Path:
        """The mirror's receipt: what MLflow was given."""
        return self.root / "mlflow.json"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def events(self) -> Path:
        """A line a block job: what it reused, computed, found damaged."""
        return self.logs / "events.jsonl"

    @property
    def results(self) -> Path:
        """The folder that holds every study, the store and the MLflow database."""
        return self.root.parent

    @property
    def store(self) -> Path:
        """Finished fits by identity, shared by all studies of one results folder."""
        return self.results / "store"

    @property
    def database(self) -> Path:
        return self.results / "mlflow.db"

    def data(self, dataset: str, block: int) -> Path:
        return self._folder("data", dataset) / f"{block_name(block)}.npz"

    def mask(self, dataset: str, missingness: str, block: int) -> Path:
        return self._folder("masks", dataset, missingness) / f"{block_name(block)}.npz"

    def block(self, kind: str, dataset: str, missingness: str, model: str, block: int) -> Path:
        """One of a block's six files.

        Parameters
        ----------
        kind : str
            Of ``BLOCK_KINDS``.

        Raises
        ------
        ValueError
            For another kind.
        EmlibError
            For an id that cannot be a folder's name; so do the others.
        """
        if kind not in BLOCK_KINDS:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(BLOCK_KINDS)}")
        return self._folder(kind, dataset, missingness, model) / f"{block_name(block)}.parquet"

    def lost(self, dataset: str, missingness: str, model: str, block: int) -> Path:
        """Loss marker: ``{"count": n}`` while the block holds provisional rows."""
        return self._folder("lost", dataset, missingness, model) / f"{block_name(block)}.json"

    def block_lock(self, dataset: str, missingness: str, model: str, block: int) -> Path:
        """Held by the job that writes the block."""
        folder = self._folder("locks/block", dataset, missingness, model)
        return folder / f"{block_name(block)}.lock"

    def search_lock(self, dataset: str, missingness: str, model: str) -> Path:
        """Held by the block that searches references on data that other blocks have too."""
        return self._folder("locks/search", dataset, missingness, model) / "search.lock"

    def data_lock(self, dataset: str, block: int) -> Path:
        """Held by the job that draws the data."""
        return self._folder("locks/data", dataset) / f"{block_name(block)}.lock"

    def mask_lock(self, dataset: str, missingness: str, block: int) -> Path:
        """Held by the job that draws the holes."""
        return self._folder("locks/masks", dataset, missingness) / f"{block_name(block)}.lock"

    def log(self, dataset: str, missingness: str, model: str, block: int) -> Path:
        folder = self._folder("logs/block", dataset, missingness, model)
        return folder / f"{block_name(block)}.log"

    def kernels(self, family: str) -> Path:
        """Marker that compiling the family's kernels was tried; small and constant."""
        return self.root / "kernels" / f"{family}.txt"

    def _folder(self, kind: str, *ids: str) -> Path:
        for name in ids:
            if not ID.fullmatch(name):
                raise EmlibError(f"{self.study}: the id {name!r} cannot be the name of a folder")
        return self.root.joinpath(kind, *ids)
