"""The Snakefile's side of a study: plans it in a process of its own, and answers the rules.

Standard library only. The process that the user started (the head) plans and writes; where a job
parses the Snakefile again, on a node say, the plan that the head wrote is read and nothing else.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError, some
from emlib.study.arraytask import become_own_job
from emlib.study.atomic import read_json, write_bytes, write_json
from emlib.study.locks import FileLock, LockHeld
from emlib.study.paths import BLOCK_KINDS, SHOWN_BLOCKS, StudyPaths
from emlib.study.workerprocess import THREAD_VARIABLES, single_threaded

WILDCARDS = {
    "dataset": r"[A-Za-z0-9][\w.+-]*",
    "missingness": r"[A-Za-z0-9][\w.+-]*",
    "model": r"[A-Za-z0-9][\w.+-]*",
    "family": r"\w+",
    "block": r"\d+",
}

DEFAULT_CONFIG = "config.yaml"
LOOKING = frozenset(
    ("--summary", "-S", "--detailed-summary", "-D", "--lint", "--touch", "-t", "--list-changes")
)
"""Flags of Snakemake with which nothing runs, beside ``--dry-run``: nothing is deleted either."""
FULL_BYTES = 1 << 20
PIN_THREADS = " ".join(f"export {name}={{threads}};" for name in THREAD_VARIABLES) + " "
"""Opens a job's shell command: BLAS and compiled loops get the job's threads and no more."""


class Head:
    """One study as the Snakefile sees it; made before Snakemake reads the default config.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        Of its merged config only ``study`` is used, and only where a job parses again.

    Raises
    ------
    EmlibError
        If the config cannot be used; the text lists every mistake, one a line.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        os.environ["PATH"] = os.pathsep.join(
            [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        )
        self._lock: FileLock | None = None
        self._events_before = 0
        self._prepared: dict[str, Any] = {}
        if workflow.is_main_process:
            if "--no-hooks" in sys.argv:
                raise EmlibError(
                    "--no-hooks is not allowed: before its first job, a run takes the study's lock "
                    "and writes the plan that the jobs read"
                )
            self._prepared = _prepare(_one_config(workflow), _overrides(workflow))
            dry = workflow.output_settings.dryrun or not LOOKING.isdisjoint(sys.argv)
            self._drop_what_is_made_again(dry)
        else:
            become_own_job()

    # --- the plan, for the rules ---

    @cached_property
    def paths(self) -> StudyPaths:
        """Where the study's files are."""
        if self._prepared:
            return StudyPaths(Path(self._prepared["root"]))
        return StudyPaths(Path("results") / str(self._workflow.config["study"]))

    @cached_property
    def jobs(self) -> dict[str, Any]:
        """What ``prepare.jobs`` planned: just now in the head, on disk for a job."""
        return self._prepared["jobs"] if self._prepared else read_json(self.paths.jobs)

    @property
    def name(self) -> str:
        return self.paths.root.name

    @property
    def root(self) -> str:
        """The study's folder, as rules write it."""
        return str(self.paths.root)

    def job(self, kind: str, *names: str) -> Any:
        """Digests of one job of ``data``, ``masks`` or ``blocks``.

        Raises
        ------
        EmlibError
            If the study has no such job.
        """
        key = "/".join(names)
        if key not in self.jobs[kind]:
            raise EmlibError(f"{kind}/{key} is not in the plan of study {self.jobs['study']!r}")
        return self.jobs[kind][key]

    def block(self, wildcards: Any) -> dict[str, Any]:
        """Digests of one block's job, by the rule's wildcards."""
        names = (wildcards.dataset, wildcards.missingness, wildcards.model, wildcards.block)
        job: dict[str, Any] = self.job("blocks", *names)
        return job

    def limit(self, name: str, attempt: int) -> int:
        """A block's ``runtime`` (minutes) or ``mem_mb``: each attempt may take three times as much.

        Fits that a killed attempt finished are in the store, so the next one has less to do.
        """
        return int(self.jobs["limits"][name]) * 3 ** (attempt - 1)

    def block_files(self, kinds: Iterable[str] = BLOCK_KINDS) -> list[str]:
        """Files of every block of the plan."""
        return [
            f"{self.root}/{kind}/{key}.parquet" for kind in kinds for key in self.jobs["blocks"]
        ]

    def targets(self) -> list[str]:
        """What a finished study consists of."""
        last = ["strict.json"] if self.jobs["strict"] else []
        names = ["report.html", "complete.json", "mlflow.json", *last]
        drawn = [
            f"{self.root}/{kind}/{key}.npz" for kind in ("data", "masks") for key in self.jobs[kind]
        ]
        return [*drawn, *self.block_files(), *(f"{self.root}/{name}" for name in names)]

    # --- a real run: begin, fail ---

    def begin(self) -> None:
        """Take the study's lock and write its plan; what an earlier plan came to is not complete.

        Raises
        ------
        EmlibError
            If another run of this study is alive, or the folder cannot be written to.
        """
        self._take_lock()
        _look_less(self._workflow.scheduler)
        with suppress(FileNotFoundError):
            self._events_before = self.paths.events.stat().st_size
        try:
            if self._report_of_last_plan() != self.jobs["report"]:
                self.paths.complete.unlink(missing_ok=True)
            write_json(self.paths.study, self._prepared["study"])
            write_json(self.paths.blocks, self._prepared["blocks"])
            write_bytes(self.paths.plan, base64.b64decode(self._prepared["plan"]))
            write_json(self.paths.jobs, self.jobs)
        except OSError as error:
            raise EmlibError(f"{self.paths.root}: cannot be written to ({error})") from None

    def _report_of_last_plan(self) -> str:
        with suppress(FileNotFoundError, ValueError, KeyError):
            return str(read_json(self.paths.jobs)["report"])
        return ""

    def _take_lock(self) -> None:
        """Hold the study's lock until this process ends."""
        if self._lock is not None:
            return
        lock = FileLock(self.paths.lock)
        try:
            lock.acquire(wait=1.0)  # `emlib status --watch` looks at it for an instant
        except LockHeld as error:
            raise EmlibError(
                f"study {self.jobs['study']!r} is being run by another Snakemake ({error}); "
                "wait for it, stop it, or give this run another name (--config study=NAME)"
            ) from None
        except OSError as error:
            raise EmlibError(f"{self.paths.root}: cannot be written to ({error})") from None
        self._lock = lock

    def say_done(self) -> None:
        """How the fits ended and where the answer is, once nothing is missing."""
        self._say_damages()
        if self.paths.complete.is_file():
            print(f"Fits: {self._ends()}\nReport: {self.paths.report}", file=sys.stderr)

    def _say_damages(self) -> None:
        """What this run's blocks found damaged in the store; their logs say it too."""
        told: set[str] = set()
        with suppress(FileNotFoundError), self.paths.events.open("rb") as events:
            events.seek(self._events_before)
            for line in events:
                with suppress(ValueError):
                    told.update(json.loads(line).get("damages", ()))
        for damage in sorted(told):
            print(damage, file=sys.stderr)

    def _ends(self) -> str:
        """Fits by status, from the report's table of cells."""
        counts: Counter[str] = Counter()
        with (self.paths.tables / "cells.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                for column, value in row.items():
                    if column.startswith("status_"):
                        counts[column.removeprefix("status_")] += int(value)
        return ", ".join(f"{count} {status}" for status, count in counts.most_common() if count)

    def say_failed(self) -> None:
        """After a failure: a report of what there is, which says what is missing.

        One that misses nothing stays: then the mirror failed, or the study's own strictness.
        """
        self._say_damages()
        free = shutil.disk_usage(self.paths.results).free
        if free < FULL_BYTES:  # then the jobs' logs are empty, whatever they wanted to say
            print(
                f"{self.paths.results}: the disk is full ({free} bytes are left); finished fits "
                "are kept: make room, and run again",
                file=sys.stderr,
            )
        fits = zip(self.jobs["blocks"], self.block_files(["fits"]), strict=True)
        missing = [key for key, file in fits if not Path(file).is_file()]
        if missing or not self._is_reported():
            self.paths.complete.unlink(missing_ok=True)
            command = [sys.executable, "-m", "emlib", "report", self.root, "--partial"]
            if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0:
                return
        lacking = ""
        if missing:
            which = some(missing, SHOWN_BLOCKS)
            lacking = f" ({len(missing)} of {len(self.jobs['blocks'])} blocks are missing: {which})"
        print(f"Report: {self.paths.report}{lacking}", file=sys.stderr)

    def _is_reported(self) -> bool:
        """Whether the report is of the blocks that are there now."""
        if not self.paths.complete.is_file():
            return False
        newest = max(Path(file).stat().st_mtime_ns for file in self.block_files(["fits"]))
        return newest <= self.paths.complete.stat().st_mtime_ns

    def _drop_what_is_made_again(self, dry: bool) -> None:
        """Files that their checksums disown; and the receipt of a SQLite file that is gone."""
        for name, reason in self._prepared["damaged"]:
            done = "a run makes it again" if dry else "deleted, and made again"
            print(f"{name}: damaged ({reason}): {done}", file=sys.stderr)
            if not dry:
                self._take_lock()
                Path(name).unlink(missing_ok=True)
        uri = self._prepared["study"]["tracking"]["uri"]
        if uri is None and not dry and not self.paths.database.exists():
            self.paths.receipt.unlink(missing_ok=True)


def _look_less(scheduler: Any) -> None:
    """Have Snakemake look at the jobs that wait when one has ended, and not every second as well.

    Under its default limit, 100 jobs a second, each look sets off another one a second later, and
    each job that ends one more such chain (snakemake/snakemake#3744 is about the same loop): of
    4,000 CPU seconds of a study 150 went there. Another limit is somebody's wish, and stays.
    """
    limit = getattr(scheduler, "job_rate_limiter", None)
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        scheduler.job_rate_limiter = None


def _one_config(workflow: Any) -> Path:
    """The one config file of this run."""
    flags = ("--configfile", "--configfiles")
    given = [arg for arg in sys.argv if arg.split("=")[0] in flags]
    files = [str(path) for path in workflow.configfiles] or [DEFAULT_CONFIG]
    if len(files) != 1 or len(given) > 1:
        found = f"found {', '.join(files)}" if len(files) > 1 else f"{given[0]} is given twice"
        raise EmlibError(
            f"exactly one config file is allowed ({found}): put everything in one file, or change "
            "single values with --config key=value"
        )
    return Path(files[0])


def _overrides(workflow: Any) -> list[str]:
    """What followed ``--config`` on the command line, as it was written there."""
    arguments = workflow.config_settings.config_args or []
    return [arguments] if isinstance(arguments, str) else list(arguments)


def _prepare(config: Path, overrides: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "emlib", "prepare", str(config), "--", *overrides]
    environment = {**os.environ, **single_threaded()}  # threads of BLAS cost more than they do here
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise EmlibError(done.stderr.strip() or f"planning failed with exit code {done.returncode}")
    prepared: dict[str, Any] = json.loads(done.stdout)
    for note in prepared["notes"]:
        print(note, file=sys.stderr)
    return prepared
