"""The command ``emlib``. Each command imports what it needs when it runs, and nothing before."""

from __future__ import annotations

import errno
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import emlib
from emlib.errors import EmlibError, printable
from emlib.study.paths import block_number, study_folder

if TYPE_CHECKING:
    from emlib.study.storekeeping import Tidied

FOLDER = click.Path(path_type=Path)
RESULTS = click.option("--results", type=FOLDER, default=Path("results"), show_default=True)


MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""Errors of the disk, which no traceback explains better than their text."""


class Group(click.Group):
    """A group whose commands show emlib's own errors, and the disk's, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (EmlibError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in MACHINE:
                raise
            with suppress(OSError):  # the log may be on a full disk too
                print(printable(str(error)), file=sys.stderr)
            ctx.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(emlib.__version__, prog_name="emlib")
def main() -> None:
    """Exact EM for latent-variable models, and reproducible studies of how best to run it."""


# --- what a user asks -----------------------------------------------------------------------------


@main.command()
@click.argument("config", type=FOLDER, default=Path("config.yaml"))
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="Override a value.")
@click.option("--resize", is_flag=True, help="Freeze the config's block_size instead of the old.")
@click.option("--profile", type=FOLDER, help="Say what it costs under this Snakemake profile.")
def plan(config: Path, values: tuple[str, ...], resize: bool, profile: Path | None) -> None:
    """Say what CONFIG would run: cells, fits, jobs, time, replicates needed. Runs nothing."""
    from emlib.study.plan import show_plan

    show_plan(config, list(values), resize=resize, profile=profile)


@main.command()
@click.argument("study")
@click.option("--watch", is_flag=True, help="Follow the run; exit code 1 if it dies.")
def status(study: str, watch: bool) -> None:
    """Count the fits of STUDY by status, with reasons, and the blocks that are missing."""
    from emlib.study.status import show_status

    show_status(study_folder(study), follow=watch)


@main.command()
@click.argument("fit_id")
@RESULTS
@click.option(
    "--plot",
    metavar="[FILE]",
    is_flag=False,
    flag_value="",
    help="Draw the climb too; .svg, .pdf, .png or .html. By default climb-FIT_ID.svg here.",
)
def replay(fit_id: str, results: Path, plot: str | None) -> None:
    """Run one fit again, outside Snakemake, and print its climb."""
    from emlib.study.replay import reference_of, rerun, show_replay

    if plot:
        from emlib.report.climb_chart import check_format

        check_format(Path(plot))
    again = rerun(fit_id, results)
    same = show_replay(again)
    if plot is not None:
        from emlib.report.climb_chart import write_climb

        file = Path(plot or f"climb-{again.stored.row['fit_id'][:12]}.svg")
        write_climb(file, again.row, again.curve, reference_of(again.stored))
        click.echo(f"plot: {file}")
    if not same:
        sys.exit(1)


@main.command()
@click.argument("files", type=FOLDER, nargs=-1, required=True)
def allow(files: tuple[Path, ...]) -> None:
    """Let configs run FILES, named under `plugins:`, until they change."""
    from emlib.study.permission import allow as allow_plugin

    for file in files:
        click.echo(f"{allow_plugin(file)}: allowed as it is now")


@main.command()
@click.argument("file", type=FOLDER)
def check(file: Path) -> None:
    """Run FILE and hold its inits to what every init must keep; exit code 1 if any is broken."""
    from emlib.study.init_contract import check_file

    if not check_file(file):
        sys.exit(1)


@main.command()
@click.argument("study")
@click.option("--partial", is_flag=True, help="Say what is missing instead of failing on it.")
def report(study: str, partial: bool) -> None:
    """Build the report of STUDY from its finished files."""
    from emlib.report.build import build_report

    click.echo(build_report(study_folder(study), partial=partial))


@main.command()
@click.argument("study")
@click.option("--uri", default=None, help="Tracking URI; the config's by default.")
def mirror(study: str, uri: str | None) -> None:
    """Bring MLflow up to date with STUDY."""
    from emlib.tracking.mirror import mirror_study

    receipt = mirror_study(study_folder(study), uri=uri)
    done = ", ".join(f"{count} {what}" for what, count in receipt["done"].items() if count)
    click.echo(
        f"{receipt['uri']}: {receipt['cells']} cells and {receipt['fits']} fits of "
        f"{receipt['study']}; runs: {done or 'none'}"
    )


@main.command()
@click.argument("others", type=FOLDER, nargs=-1, required=True, metavar="OTHER_RESULTS...")
@RESULTS
def merge(others: tuple[Path, ...], results: Path) -> None:
    """Take the finished fits of other results folders; exit code 1 if any disagree or are damaged.

    A fit that both have with other numbers stays as it is here; both are in conflicts.jsonl.
    """
    from emlib.study.merge import merge as merge_stores
    from emlib.study.merge import show_merged

    merged = merge_stores(results, others)
    show_merged(merged, results, others)
    if merged.conflicts or merged.faults:
        sys.exit(1)


@main.group()
def store() -> None:
    """Check and tidy the store of finished fits."""


@store.command("verify")
@RESULTS
def store_verify(results: Path) -> None:
    """Read every stored fit and check it; exit code 1 if anything is damaged."""
    from emlib.study.storekeeping import verify

    check = verify(results / "store")
    for fault in check.faults:
        click.echo(fault, err=True)
    click.echo(
        f"{check.records} records of {check.shards} data sets in {check.journals} journals, "
        f"{check.size / 1e6:.1f} MB; faults: {len(check.faults)}"
    )
    if check.faults:
        sys.exit(1)


@store.command("compact")
@RESULTS
def store_compact(results: Path) -> None:
    """Put the records of each data set into one journal."""
    from emlib.study.storekeeping import compact

    _say_tidied(compact(results / "store"))


@store.command("gc")
@click.option("--keep", multiple=True, required=True, metavar="STUDY", help="May be repeated.")
@RESULTS
def store_gc(keep: tuple[str, ...], results: Path) -> None:
    """Drop the fits that no kept study has in its files; each kept study must be whole."""
    from emlib.study.storekeeping import collect_garbage

    kept = [study_folder(name, results) for name in keep]
    _say_tidied(collect_garbage(results / "store", kept))


def _say_tidied(done: Tidied) -> None:
    """How large the store is now, and what damage went."""
    for damage in done.damages:
        click.echo(f"dropped: {damage}", err=True)
    click.echo(f"{done.before / 1e6:.1f} MB before, {done.after / 1e6:.1f} MB after")


@main.command()
def schema() -> None:
    """Print the JSON Schema of a config file, for editors."""
    from emlib.study.schema import schema_text

    click.echo(schema_text(), nl=False)


# --- what Snakemake's jobs run --------------------------------------------------------------------


FINGERPRINT = click.option(
    "--fingerprint", default=None, help="Refuse to run with other numerical code."
)


@main.command(hidden=True)
@click.argument("config", type=FOLDER)
@click.argument("overrides", nargs=-1)
def prepare(config: Path, overrides: tuple[str, ...]) -> None:
    """Check CONFIG and print, as JSON, everything that a run of it starts from."""
    from emlib.study.config import parse_overrides
    from emlib.study.prepare import prepare as prepare_study

    json.dump(prepare_study(config, parse_overrides(list(overrides))), sys.stdout)


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
@click.argument("family")
@click.option("--output", type=FOLDER, required=True)
def kernels(study_dir: Path, family: str, output: Path) -> None:
    """Compile the kernels that FAMILY uses."""
    from emlib.study.kernels import compile_kernels

    compile_kernels(study_dir, family, output)


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
@click.argument("dataset")
@click.argument("block")
@FINGERPRINT
def data(study_dir: Path, dataset: str, block: str, fingerprint: str | None) -> None:
    """Draw one block's replicates of DATASET."""
    from emlib.study.datafiles import make_data

    make_data(study_dir, dataset, block_number(block), fingerprint)


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
@click.argument("dataset")
@click.argument("missingness")
@click.argument("block")
@FINGERPRINT
def masks(
    study_dir: Path, dataset: str, missingness: str, block: str, fingerprint: str | None
) -> None:
    """Draw which cells of one block's replicates are hidden."""
    from emlib.study.datafiles import make_masks

    make_masks(study_dir, dataset, missingness, block_number(block), fingerprint)


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
@click.argument("dataset")
@click.argument("missingness")
@click.argument("model")
@click.argument("block")
@FINGERPRINT
@click.option("--planned-as", default="", help="Digest that is kept in the block's file of fits.")
@click.option("--threads", type=click.IntRange(min=1), default=1)
def block(
    study_dir: Path,
    dataset: str,
    missingness: str,
    model: str,
    block: str,
    fingerprint: str | None,
    planned_as: str,
    threads: int,
) -> None:
    """Run the fits of one block that the store does not hold yet."""
    from emlib.study.supervisor import run_block

    ids = (dataset, missingness, model, block_number(block))
    sys.exit(run_block(study_dir, *ids, fingerprint, planned_as, threads=threads))


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
def tables(study_dir: Path) -> None:
    """Compute the tables of the report."""
    from emlib.report.tables import build_tables

    build_tables(study_dir)


@main.command(hidden=True)
@click.argument("study_dir", type=FOLDER)
@click.option("--output", type=FOLDER, required=True)
def strict(study_dir: Path, output: Path) -> None:
    """Fail if any fit of the study failed or is missing (``strict: true``)."""
    from emlib.study.status import check_strict

    check_strict(study_dir, output)
