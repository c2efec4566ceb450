"""``emlib plan --profile``: what a sweep costs under a Snakemake profile.

Waiting in a cluster's queue is no part of any figure. Blocks start in the order of the plan, each
at the first place that is free; each stage (kernels and data, holes, blocks, report) adds what a
cluster takes to start jobs and to show their files.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study.costs import SECONDS_PER_JOB
from emlib.study.yamlfile import read_yaml

FILES = ("config.v8+.yaml", "config.yaml")
JOBS = ("kernels", "data", "masks", "block")
"""Rules whose jobs an executor gets; all others run where Snakemake was started (Snakefile)."""
STAGES = 4
STAGE_SECONDS = 90.0
"""A cluster's for each stage: submission, `latency-wait`, the next look at the queue."""
PLACES = (10, 100, 1000)
"""Jobs at a time, as examples where a profile sets no limit."""


@dataclass(frozen=True)
class Profile:
    """What a Snakemake profile says of the jobs of a study.

    Parameters
    ----------
    path : Path
    executor : str
        ``local`` where it names none.
    at_once : int or None
        Jobs that run at the same time; None for no limit.
    arrays : tuple of str
        Rules whose jobs are tasks of job arrays.
    asked : dict of str to dict
        ``runtime`` (minutes) and ``mem_mb`` of each rule's first attempt, where it sets them.
    """

    path: Path
    executor: str
    at_once: int | None
    arrays: tuple[str, ...]
    asked: Mapping[str, Mapping[str, int]]


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Parameters
    ----------
    path : Path
        Its folder, such as ``profiles/slurm``, or its file.

    Raises
    ------
    EmlibError
        If there is none, or it cannot be understood; the text says where.
    """
    file = next((path / name for name in FILES if (path / name).is_file()), path)
    if not file.is_file():
        raise EmlibError(f"{path}: no profile here (looked for {' and '.join(FILES)})")
    values, mistakes = read_yaml(file, str(file))
    if mistakes:
        raise EmlibError("\n".join(mistakes))
    arrays = values.get("slurm-array-jobs") or ""
    named = arrays if isinstance(arrays, list) else re.split(r"[,\s]+", str(arrays))
    default = _resources(values.get("default-resources"), f"{file}: default-resources")
    own = _mapping(values.get("set-resources"), f"{file}: set-resources")
    asked = {
        rule: ({} if rule == "block" else default)  # a block's are set in its rule
        | _resources(own.get(rule), f"{file}: set-resources.{rule}")
        for rule in JOBS
    }
    return Profile(
        path,
        str(values.get("executor") or "local"),
        _at_once(values, file),
        JOBS if "all" in named else tuple(rule for rule in JOBS if rule in named),
        asked,
    )


def _at_once(values: Mapping[str, Any], file: Path) -> int | None:
    limit = values.get("jobs", values.get("cores"))
    if limit is None:
        raise EmlibError(f"{file}: sets neither `jobs` nor `cores`: how many jobs run at once?")
    if str(limit) == "unlimited":
        return None
    if str(limit) == "all":  # of this machine
        return os.cpu_count()
    if not str(limit).isdigit() or int(limit) < 1:
        raise EmlibError(
            f"{file}: jobs: {limit!r} is neither a positive number nor `unlimited`, nor `all`"
        )
    return int(limit)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    """A mapping, also if it is written as Snakemake's command line has it: ``[a=1, b=2]``."""
    if isinstance(value, list):
        value = dict(str(item).split("=", 1) for item in value if "=" in str(item))
    if value is not None and not isinstance(value, Mapping):
        raise EmlibError(f"{where}: {value!r} is not a mapping of keys to values")
    return value or {}


def _resources(value: Any, where: str) -> dict[str, int]:
    """Minutes and megabytes of a first attempt."""
    from snakemake.exceptions import WorkflowError
    from snakemake.resources import Resource

    found = {}
    for name, given in _mapping(value, where).items():
        if name not in ("runtime", "mem", "mem_mb"):
            continue
        kind = "runtime" if name == "runtime" else "mem"
        text = re.sub(r"\s*\*\s*attempt$|^attempt\s*\*\s*", "", str(given).strip("'\" "))
        try:
            found[name if kind == "runtime" else "mem_mb"] = int(
                str(Resource.parse_human_friendly(kind, text))
            )
        except WorkflowError:
            raise EmlibError(
                f"{where}.{name}: {given!r} is not understood (allowed: a number, alone or "
                "`* attempt`; 30m, 2h; 4GB)"
            ) from None
    return found


def makespan(seconds: Sequence[float], places: int | None) -> float:
    """When the last of some jobs ends, each started in order at the first place that is free."""
    if places is None or places >= len(seconds):
        return max(seconds, default=0.0)
    ends = [0.0] * places
    for one in seconds:
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def wall_seconds(
    jobs: Mapping[str, int], blocks: Sequence[float], profile: Profile, places: int | None
) -> float:
    """From the first job to the report, so many jobs at a time."""
    small = [makespan([SECONDS_PER_JOB] * n, places) for n in
             (jobs["kernels"] + jobs["data"], jobs["masks"])]  # fmt: skip
    last = 3 * SECONDS_PER_JOB  # tables; then report and mirror
    latency = 0.0 if profile.executor == "local" else STAGES * STAGE_SECONDS
    return sum(small) + makespan(blocks, places) + last + latency


def sweep_lines(
    profile: Profile, jobs: Mapping[str, int], blocks: Sequence[float], limits: Mapping[str, int]
) -> list[str]:
    """What a sweep costs.

    Parameters
    ----------
    profile : Profile
    jobs : mapping of str to int
        Number of jobs of each rule.
    blocks : sequence of float
        Estimated seconds of each block.
    limits : mapping of str to int
        ``runtime`` and ``mem_mb`` that the plan asks for a block.
    """
    asked: dict[str, Mapping[str, int]] = {**profile.asked}
    asked["block"] = {**limits, **profile.asked["block"]}
    known = [rule for rule in JOBS if "runtime" in asked[rule]]
    hours = sum(jobs[rule] * asked[rule]["runtime"] for rule in known) / 60.0
    used = (sum(blocks) + SECONDS_PER_JOB * sum(jobs[rule] for rule in JOBS[:-1])) / 3600.0
    single = [f"{jobs[rule]} {rule}" for rule in JOBS if rule not in profile.arrays]
    arrays = [f"{jobs[rule]} {rule}" for rule in profile.arrays]
    submitted = f"{', '.join(single) or 'none'} one by one"
    if arrays:
        submitted += f", and arrays of {', '.join(arrays)} tasks"
    limit = "no limit to the jobs at once"
    if profile.at_once is not None:
        limit = f"at most {profile.at_once} jobs at once"
    together = min(len(blocks), profile.at_once or len(blocks))
    minutes, megabytes = asked["block"]["runtime"], asked["block"]["mem_mb"]
    lines = [
        f"profile     {profile.path}: executor {profile.executor}, {limit}",
        f"submits     {sum(jobs[rule] for rule in JOBS)} jobs: {submitted}",
        f"core-hours  about {used:.1f}; the limits of {', '.join(known)} allow {hours:.1f}",
        f"longest job a block, about {_time(max(blocks))}; it asks for {_time(60 * minutes)}",
        f"memory      {megabytes} MB a block; {together} at once: "
        f"{together * megabytes / 1000:.0f} GB",
    ]
    wall = wall_seconds(jobs, blocks, profile, profile.at_once)
    text = f"wall time   about {_time(wall)}, waiting in the queue apart"
    if profile.at_once is None:
        some = [n for n in PLACES if n < len(blocks)]
        others = [f"{n} at a time: {_time(wall_seconds(jobs, blocks, profile, n))}" for n in some]
        text += "; ".join([", if all blocks run at once", *others])
    lines.append(text)
    if max(blocks) > 60.0 * minutes:
        lines.append("            Blocks would be killed at their limit, and tried again.")
    return lines


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.1f} minutes"
