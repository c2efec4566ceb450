"""`emlib status`: fits counted by status, blocks that are missing, cells that are really hidden."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError, StoreError
from emlib.study import grid
from emlib.study.atomic import write_json
from emlib.study.files import read_table, sound_bytes
from emlib.study.paths import BLOCK_KINDS, StudyPaths, block_name
from emlib.study.realized import realized_rates

STATUSES = (
    "converged",
    "max_iter",
    "budget",
    "timeout",
    "degenerate",
    "decreased",
    "failed",
    "invalid",
    "lost",
)
PIPED_WIDTH = 160


def count_statuses(
    study_dir: Path,
) -> tuple[dict[tuple[str, str, str], Counter[str]], dict[tuple[str, str, str], list[str]]]:
    """Fits by status for each dataset x missingness x model, and the blocks that are missing.

    A block is missing while any of its six files is; the key ``planned`` counts all its fits.
    """
    paths = StudyPaths(study_dir)
    study = grid.load_study(study_dir)
    starts: Counter[tuple[str, str, str]] = Counter()
    for cell in grid.entries(study):
        starts[cell.dataset, cell.missingness, cell.model] += cell.starts
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    missing: dict[tuple[str, str, str], list[str]] = {}
    for block in grid.planned_blocks(study_dir):
        group = (block.dataset, block.missingness, block.model)
        count = counts.setdefault(group, Counter())
        count["planned"] += starts[group] * len(block.replicates)
        files = {kind: paths.block(kind, *group, block.block) for kind in BLOCK_KINDS}
        if not all(path.is_file() for path in files.values()):
            missing.setdefault(group, []).append(block_name(block.block))
            continue
        try:
            for path in files.values():
                sound_bytes(path)
            count.update(read_table(files["fits"], ["status"]).column("status").to_pylist())
        except StoreError:
            missing.setdefault(group, []).append(f"{block_name(block.block)} (damaged)")
    return counts, missing


def show_status(study_dir: Path) -> None:
    """Print the counts."""
    from rich.console import Console
    from rich.table import Table

    counts, missing = count_statuses(study_dir)
    seen = [status for status in STATUSES if any(count[status] for count in counts.values())]
    table = Table(title=f"study {grid.load_study(study_dir)['study']}", title_justify="left")
    table.add_column("dataset/missingness/model", overflow="fold")
    for name in ("planned", "done", *seen, "missing blocks"):
        table.add_column(name, justify="right", overflow="fold")
    for group, count in sorted(counts.items()):
        table.add_row(
            "/".join(group), *_numbers(count, seen), ", ".join(missing.get(group, [])) or "-"
        )
    total: Counter[str] = sum(counts.values(), Counter())
    table.add_section()
    blocks = sum(len(names) for names in missing.values())
    table.add_row("all", *_numbers(total, seen), str(blocks))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    console.print(table)
    rates = realized_rates(study_dir)
    if rates:
        hidden = Table(title="hidden shares of the observed cells", title_justify="left")
        hidden.add_column("dataset/missingness", overflow="fold")
        for name in ("asked", "realized"):
            hidden.add_column(name, justify="right")
        hidden.add_column("by column", overflow="fold")
        for one in rates:
            columns = ", ".join(f"{name} {share:.3f}" for name, share in one.columns.items())
            where = f"{one.dataset}/{one.missingness}"
            hidden.add_row(where, f"{one.asked:.3f}", f"{one.rate:.3f}", columns)
        console.print(hidden)


def _numbers(count: Counter[str], seen: list[str]) -> list[str]:
    done = sum(number for status, number in count.items() if status != "planned")
    return [str(count["planned"]), str(done), *(str(count[status]) for status in seen)]


def check_strict(study_dir: Path, output: Path) -> None:
    """Refuse a study in which a fit did not converge (``strict: true``).

    Raises
    ------
    EmlibError
        With the number of such fits by status.
    """
    counts, _ = count_statuses(study_dir)
    total: Counter[str] = sum(counts.values(), Counter())
    failed = {s: total[s] for s in STATUSES if s != "converged" and total[s]}
    if failed:
        what = ", ".join(f"{number} {status}" for status, number in failed.items())
        raise EmlibError(
            f"strict: {sum(failed.values())} of {total['planned']} fits did not converge ({what}); "
            f"{study_dir}/report.html shows them"
        )
    result: dict[str, Any] = {"fits": total["planned"], "converged": total["converged"]}
    write_json(output, result)
