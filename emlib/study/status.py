"""`emlib status`: fits by status and why, missing blocks, cells really hidden, the store's size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError, printable, some
from emlib.study import grid
from emlib.study.atomic import write_json
from emlib.study.paths import SHOWN_BLOCKS, StudyPaths
from emlib.study.realized import realized_rates
from emlib.study.state import (
    STATUSES,
    StudyState,
    Told,
    ended,
    reasons,
    strict_faults,
    study_state,
)
from emlib.study.store import Store
from emlib.study.watch import watch

PIPED_WIDTH = 160
SHOWN_CELLS = 3
SHOWN_REASONS = 20


def show_status(study_dir: Path, follow: bool = False) -> None:
    """Print what there is of a study, or ``follow`` its run to the end.

    Raises
    ------
    EmlibError
        If a run that was followed ended without completing the study.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    if follow:
        watch(study_dir, console)
        return
    state = study_state(study_dir)
    _print_counts(console, grid.load_study(study_dir)["study"], state)
    _print_reasons(console, state.told)
    _print_hidden(console, study_dir)
    journals, size = Store(StudyPaths(study_dir).store).size()
    console.print(
        f"store of all studies here: {size / 1e6:.1f} MB in {journals} journals", markup=False
    )


def _print_counts(console: Any, name: str, state: StudyState) -> None:
    from rich.table import Table

    total = state.total
    seen = [status for status in STATUSES if total[status]]
    table = Table(title=f"study {name}", title_justify="left")
    table.add_column("dataset/missingness/model", overflow="fold")
    for column in ("planned", "done", *seen, "missing blocks"):
        table.add_column(column, justify="right", overflow="fold")
    for group, count in sorted(state.counts.items()):
        missing = some(state.missing.get(group, []), SHOWN_BLOCKS)
        table.add_row("/".join(group), *_numbers(count, seen), missing or "-")
    table.add_section()
    table.add_row("all", *_numbers(total, seen), f"{state.blocks_missing} of {state.blocks}")
    console.print(table)
    cells = state.cells.values()
    whole = [count for count in cells if ended(count) == count["planned"]]
    clean = sum(count["converged"] == count["planned"] for count in whole)
    console.print(
        f"cells: {clean} with all fits converged, {len(whole) - clean} with some that did not, "
        f"{len(cells) - len(whole)} not yet whole"
    )


def _print_reasons(console: Any, told: list[Told]) -> None:
    from rich.table import Table
    from rich.text import Text

    found = reasons(told)
    if not found:
        return
    table = Table(title="why fits did not converge", title_justify="left")
    table.add_column("status")
    table.add_column("fits", justify="right")
    for column in ("reason", "in cells", "the first of them"):
        table.add_column(column, overflow="fold")
    for one in found[:SHOWN_REASONS]:
        cells = some([f"{cell} {n}" for cell, n in one.cells.most_common()], SHOWN_CELLS)
        texts = (printable(one.message), cells, f"emlib replay {one.fit_id[:12]}")
        table.add_row(one.status, str(one.cells.total()), *map(Text, texts))
    console.print(table)
    if len(found) > SHOWN_REASONS:
        console.print(f"and {len(found) - SHOWN_REASONS} reasons more, in the report")


def _print_hidden(console: Any, study_dir: Path) -> None:
    from rich.table import Table

    rates = realized_rates(study_dir)
    if not rates:
        return
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
    return [str(count["planned"]), str(ended(count)), *(str(count[status]) for status in seen)]


def check_strict(study_dir: Path, output: Path) -> None:
    """Refuse a study in which a fit failed, or is not there any more (``strict: true``).

    A fit that ran out of its allowance, or ended degenerate, is an answer of a comparison.

    Raises
    ------
    EmlibError
        With the number of such fits by status, and the blocks that are missing.
    """
    state = study_state(study_dir)
    if faults := strict_faults(state):
        raise EmlibError(f"strict: {'; '.join(faults)}; {study_dir}/report.html shows them")
    total = state.total
    result: dict[str, Any] = {"fits": total["planned"], "converged": total["converged"]}
    write_json(output, result)
