"""Fits and curves are the same files whatever the cores and the order of the grid."""

from tests.workflow.project import Project

ONLY_FITS = ("--until", "block")


def reordered(axis):
    return dict(reversed(list(axis.items())))


def test_one_core_and_another_order_of_the_grid_write_the_same_files(finished, project):
    project.write(
        datasets=reordered(project.config["datasets"]),
        inits=reordered(project.config["inits"]),
        missingness=project.config["missingness"][::-1],
    )
    ran = project.snakemake(*ONLY_FITS, cores=1)
    assert ran.code == 0, ran.output
    assert_same_numbers(project, finished)


def assert_same_numbers(project: Project, other: Project) -> None:
    for kind in ("fits", "curves", "references", "params", "certificates"):
        mine, theirs = project.block_files(kind), other.block_files(kind)
        assert mine.keys() == theirs.keys()
        differing = [name for name in mine if mine[name] != theirs[name]]
        assert not differing
