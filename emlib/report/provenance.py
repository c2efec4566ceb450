"""Where the numbers come from: versions, commit, processors, duration, the study's own text."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import emlib
from emlib.report.format import count, seconds
from emlib.report.load import rows_of

PACKAGES = [
    *("numpy", "scipy", "numba", "scikit-learn", "pandas", "pyarrow", "pydantic"),
    *("snakemake", "mlflow", "altair", "vl-convert-python"),
]


def provenance(study: dict[str, Any], machines: pd.DataFrame) -> list[tuple[str, str]]:
    """Name and value pairs for the report's last section."""
    return [
        ("Study", str(study["study"])),
        ("Seed", str(study["seed"])),
        ("emlib", f"{emlib.__version__}, {commit()}"),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        *machine_lines(machines),
    ]


def version(package: str) -> str:
    """Installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Commit of the source tree that emlib runs from, if it is one."""
    tree = Path(emlib.__file__).resolve().parent.parent
    if not (tree / ".git").exists():
        return "installed package (no commit known)"
    try:
        head = _git(tree, "rev-parse", "--short=12", "HEAD")
        changed = _git(tree, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "commit unknown"
    return f"commit {head}" + (" with uncommitted changes" if changed else "")


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def machine_lines(machines: pd.DataFrame) -> list[tuple[str, str]]:
    """What each processor type computed, how long it took, and when."""
    lines = []
    for row in rows_of(machines):
        busy = row.seconds_init + row.seconds_climb + row.seconds_polish
        text = (
            f"{row.processor or 'unknown'}: {count(row.fits, 'fit')}, {seconds(busy)} in fits "
            f"(inits {seconds(row.seconds_init)}, climbs {seconds(row.seconds_climb)}, polish "
            f"{seconds(row.seconds_polish)}), from {moment(row.started)} to {moment(row.ended)}"
        )
        lines.append(("Processor", text))
    if len(machines):
        span = float(machines["ended"].max() - machines["started"].min())
        lines.append(("Duration", f"{seconds(span)} from the first fit's start to the last's end"))
    return lines


def moment(unix: float) -> str:
    """UTC date and time."""
    if pd.isna(unix):
        return "unknown"
    when = datetime.datetime.fromtimestamp(unix, tz=datetime.UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def study_text(study: dict[str, Any]) -> str:
    """The resolved study as YAML: what config.yaml said, with every default filled in."""
    return yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=100)
