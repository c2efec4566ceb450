"""One study, its parts run in two results folders, collected in one of them and finished there."""

from tests.workflow.project import Project

ONLY_FITS = ("--until", "block")


def test_merged_parts_are_finished_with_what_neither_had_and_the_files_are_those_of_one_run(
    finished, project, tmp_path
):
    whole = dict(project.config)
    project.write(
        datasets={"drawn": whole["datasets"]["drawn"]},
        inits={"random": None, "kmeans": None},
        exclude=[],
    )
    second = Project(tmp_path / "second")
    second.write(
        datasets={"faithful": whole["datasets"]["faithful"]},
        missingness=[{"mechanism": "none"}],
        exclude=[],
    )
    for part in (project, second):
        ran = part.snakemake(*ONLY_FITS)
        assert ran.code == 0, ran.output
    merged = project.emlib("merge", str(second.root / "results"))
    assert merged.code == 0, merged.output
    assert "8 fits" in merged.output

    project.forget_events()
    project.write(**whole)
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    truths = 2 * 2  # of the drawn data set: two rates, two replicates
    assert sum(event["computed"] for event in project.events()) == truths
    assert sum(event["reference_starts_computed"] for event in project.events()) == 0
    assert sum(event["reused"] for event in project.events()) == 28 - truths
    for kind in ("fits", "curves", "references", "params", "certificates"):
        assert project.block_files(kind) == finished.block_files(kind)
