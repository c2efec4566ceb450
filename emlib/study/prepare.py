"""What a run of a study starts from: the resolved study, its plan, and its jobs with their digests.

The head (the Snakefile) has this done in a process of its own, so that it imports neither pydantic
nor numba, and writes what it gets once the run really starts.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from emlib.errors import ConfigError
from emlib.sources import syntax_digest
from emlib.study import components, grid
from emlib.study.atomic import read_json
from emlib.study.checks import checked_study
from emlib.study.checksums import damaged_files
from emlib.study.costs import job_limits
from emlib.study.fingerprint import (
    PACKAGE,
    block_fingerprint,
    certificate_fingerprint,
    component_digest,
    data_fingerprint,
    init_parts,
    numerics_fingerprint,
)
from emlib.study.identity import digest
from emlib.study.paths import StudyPaths, block_name
from emlib.tracking.location import tracking_uri

RESULTS = Path("results")


def prepare(
    config: Path, overrides: Mapping[str, Any] | None = None, results: Path = RESULTS
) -> dict[str, Any]:
    """Check a study and say everything that a run needs; nothing is written.

    Returns
    -------
    dict
        ``root`` (the study's folder), ``study`` (for study.json), ``blocks`` (for blocks.json),
        ``plan`` (plan.parquet in base 64), ``jobs`` (for jobs.json), ``notes`` (lines to show), and
        ``damaged`` (files that do not match their checksums, with the reason).

    Raises
    ------
    ConfigError
        Its text lists every mistake, one a line.
    """
    study = checked_study(config, overrides)
    paths = StudyPaths(results / study["study"])
    check_writable(paths.root)
    size, notes = block_size_of(study, paths)
    notes += mirror_notes(study, paths)
    planned = jobs(study, size, paths)
    return {
        "root": str(paths.root),
        "study": study,
        "blocks": {"block_size": size},
        "plan": base64.b64encode(plan_bytes(study)).decode("ascii"),
        "jobs": planned,
        "notes": notes,
        "damaged": [[str(path), reason] for path, reason in damaged_files(paths, planned)],
    }


def check_writable(root: Path) -> None:
    """Refuse a folder that results cannot be written to.

    Raises
    ------
    ConfigError
        Naming the first folder or file in the way.
    """
    for path in (root, *root.parents):
        if path.exists() or path.is_symlink():
            if not path.is_dir():
                raise ConfigError(f"{path}: results go here, but it is not a folder")
            if not os.access(path, os.W_OK | os.X_OK):
                raise ConfigError(f"{path}: results go here, but the folder cannot be written to")
            return


def block_size_of(study: Mapping[str, Any], paths: StudyPaths) -> tuple[int, list[str]]:
    """The block size that holds, and a note if the config wants another one."""
    try:
        frozen = grid.frozen_block_size(paths)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{paths.blocks}: damaged ({error}); `emlib plan --resize` writes it anew"
        ) from error
    if frozen is None or frozen == study["block_size"]:
        return study["block_size"], []
    note = (
        f"block_size: {study['block_size']} is not used, since {paths.blocks} froze it at "
        f"{frozen}; `emlib plan --resize` changes it"
    )
    return frozen, [note]


def mirror_notes(study: Mapping[str, Any], paths: StudyPaths) -> list[str]:
    """What will keep the study's mirror from being written, once all fits are there."""
    try:
        tracking_uri(paths.root, study["tracking"]["uri"])
    except ConfigError as error:
        return [f"{error}; the mirror, at the end, will fail so"]
    return []


def plan_rows(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a cell, as plan.parquet has them."""
    return [
        {
            "cell_id": cell.cell_id,
            "dataset": cell.dataset,
            "missingness": cell.missingness,
            "mechanism": study["missingness"][cell.missingness]["mechanism"],
            "rate": study["missingness"][cell.missingness]["rate"],
            "model": cell.model,
            "init": cell.init,
            "algorithm": cell.algorithm,
            "oracle": cell.oracle,
            "starts": cell.starts,
            "replicates": study["replicates"],
            "fits": cell.starts * study["replicates"],
        }
        for cell in grid.entries(study)
    ]


def plan_bytes(study: Mapping[str, Any]) -> bytes:
    """Content of plan.parquet."""
    from emlib.study.files import table_bytes

    return table_bytes(plan_rows(study), "plan")


# --- jobs: digests of what decides each job's content ---------------------------------------------


def jobs(study: Mapping[str, Any], block_size: int, paths: StudyPaths) -> dict[str, Any]:
    """Every job of the study with the digests that make Snakemake run it again when they change.

    Returns
    -------
    dict
        ``kernels`` (family -> fingerprint), ``data`` and ``masks`` (path -> digest), ``drawing``
        (dataset -> fingerprint), ``blocks`` (path -> family, fingerprint, fits, lost), ``report``
        and ``mirror`` (digests), ``strict``; ``images``, whether the report has some; and
        ``limits``, which decide nothing: what a cluster is asked for a block.
    """
    blocks = grid.blocks(study, block_size)
    families = sorted({study["models"][block.model]["family"] for block in blocks})
    result: dict[str, Any] = {
        "study": study["study"],
        "kernels": {family: numerics_fingerprint(family) for family in families},
        "data": {},
        "masks": {},
        "blocks": {},
        "drawing": {
            name: data_fingerprint(spec.get("generator"))
            for name, spec in study["datasets"].items()
        },
    }
    cells = grid.entries(study)
    result["limits"] = job_limits(study, cells, block_size)
    work = _group_work(study, cells)
    groups: dict[tuple[str, str, str], list[grid.Entry]] = {}
    for cell in cells:
        groups.setdefault((cell.dataset, cell.missingness, cell.model), []).append(cell)
    code = {group: block_fingerprint(study, members) for group, members in groups.items()}
    specs = {name: _spec_digest(study, name) for name in study["datasets"]}
    masks = {name: _holes_digest(one) for name, one in study["missingness"].items()}
    for block in blocks:
        name = block_name(block.block)
        data = digest([specs[block.dataset], block.first, block.last])
        result["data"][f"{block.dataset}/{name}"] = data
        holes = digest([data, masks[block.missingness]])
        result["masks"][f"{block.dataset}/{block.missingness}/{name}"] = holes
        group = (block.dataset, block.missingness, block.model)
        result["blocks"][block.key] = _block_job(
            study, block, [holes, *work[group]], paths, code[group]
        )
    result["report"] = digest([_report_code(), study_display(study), result["blocks"]])
    result["mirror"] = digest([_tracking_code(), study["tracking"], study["study"]])
    result["strict"] = study["strict"]
    from emlib.models import FAMILIES

    result["images"] = any(
        "image" in FAMILIES[spec["family"]].traits for spec in study["models"].values()
    )
    return result


def _spec_digest(study: Mapping[str, Any], dataset: str) -> str:
    """What decides a dataset's replicates: settings, files that it is read from, seed and code."""
    from emlib.datasets import source_files

    spec = study["datasets"][dataset]
    sources = [digest(Path(path).read_bytes()) for path in source_files(spec)]
    return digest([study["seed"], spec, sources, data_fingerprint(spec.get("generator"))])


def _holes_digest(missingness: Mapping[str, Any]) -> str:
    """What decides the holes of a data set, beside the data: settings, and files read."""
    from emlib.datasets import mask_files

    files = mask_files(missingness["mechanism"], missingness["settings"])
    return digest([missingness, *(digest(Path(path).read_bytes()) for path in files)])


def _group_work(
    study: Mapping[str, Any], cells: list[grid.Entry]
) -> dict[tuple[str, str, str], list[Any]]:
    """What decides the fits of each dataset x missingness x model, beside the replicates."""
    parts = {key: init_parts(one["init"], one["settings"]) for key, one in study["inits"].items()}
    inits = {key: component_digest("inits", *names) for key, names in parts.items()}
    algorithms = {
        key: component_digest("algorithms", one["algorithm"])
        for key, one in study["algorithms"].items()
    }
    common = [study[key] for key in ("stopping", "budget", "reference", "keep_params")]
    work: dict[tuple[str, str, str], list[Any]] = {}
    for cell in cells:
        group = (cell.dataset, cell.missingness, cell.model)
        if group not in work:
            family = study["models"][cell.model]["family"]
            search = components.registry("models")[family].search
            starts = [component_digest("inits", *init_parts(name)) for name in search]
            work[group] = [[], [*common, *starts]]
        row = [cell.cell_id, cell.init, cell.algorithm, cell.starts]
        work[group][0].append([*row, inits[cell.init], algorithms[cell.algorithm]])
    return work


def _block_job(
    study: Mapping[str, Any],
    block: grid.Block,
    work: list[Any],
    paths: StudyPaths,
    fingerprint: str,
) -> dict[str, Any]:
    return {
        "family": study["models"][block.model]["family"],
        "fingerprint": fingerprint,
        "fits": digest([fingerprint, *work, block.first, block.last, _runner_code()]),
        "lost": _lost(paths.lost(block.dataset, block.missingness, block.model, block.block)),
    }


def _lost(marker: Path) -> int:
    """Number of provisional rows that a block's loss marker tells of."""
    try:
        return int(read_json(marker)["count"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        return -1


def study_display(study: Mapping[str, Any]) -> list[Any]:
    """What the report depends on beyond the fits, the order of the config's ids included."""
    orders = [list(study[section]) for section in components.SECTIONS.values()]
    settings = {key: value for key, value in study.items() if key not in ("tracking", "strict")}
    return [orders, settings]


@cache
def _runner_code() -> str:
    """What makes rows of records: when it changes, blocks are assembled again from the store."""
    names = ("assembly", "files", "optima", "tasks")
    code = syntax_digest(*(PACKAGE / "study" / f"{name}.py" for name in names))
    return digest([code, certificate_fingerprint()])


@cache
def _report_code() -> str:
    folder = PACKAGE / "report"
    others = [path for path in sorted(folder.rglob("*")) if path.suffix not in (".py", ".pyc")]
    texts = [path.read_bytes() for path in others if path.is_file()]
    return digest([syntax_digest(*folder.rglob("*.py")), texts])


@cache
def _tracking_code() -> str:
    return syntax_digest(*(PACKAGE / "tracking").rglob("*.py"))
