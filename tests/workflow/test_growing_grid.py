"""A grown grid runs what is new: counted in fits, by the jobs' own account."""

ONLY_FITS = ("--until", "block")


def computed(project):
    return sum(event["computed"] for event in project.events())


def test_an_added_init_runs_its_fits_alone(finished_copy):
    project = finished_copy()
    before = project.block_files("references")
    project.forget_events()
    project.write(inits={**project.config["inits"], "points": None})
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    blocks, starts_each = 6, 2
    assert computed(project) == blocks * starts_each
    assert sum(event["reused"] for event in project.events()) == 28
    assert project.block_files("references") == before


def test_added_replicates_run_new_blocks_alone(finished_copy):
    project = finished_copy()
    before = project.block_files()
    project.forget_events()
    project.write(replicates=3)
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    assert {event["block"] for event in project.events()} == {2}
    assert computed(project) == 14
    after = project.block_files()
    assert {name: after[name] for name in before} == before


def test_another_block_size_waits_for_resize_and_then_computes_nothing(finished_copy):
    project = finished_copy()
    project.forget_events()
    project.write(block_size=2)
    told = project.snakemake("--dry-run")
    assert "froze it at 1" in told.output
    assert "rule block" not in told.output
    assert project.emlib("plan", "--resize").code == 0
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    assert computed(project) == 0
    assert sum(event["reused"] for event in project.events()) == 28


def test_a_path_builds_just_that_and_another_study_reuses_the_same_fits(finished_copy):
    project = finished_copy()
    project.write(study="twin")
    ran = project.snakemake("results/twin/fits/drawn/none/two/0000.parquet")
    assert ran.code == 0, ran.output
    assert [event["block"] for event in project.events()] == [0]
    assert computed(project) == 0
    assert list(project.block_files("fits")) == ["fits/drawn/none/two/0000.parquet"]
