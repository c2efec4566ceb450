"""What happens when a job fails, or another run is alive: a partial report, a clear message."""

from emlib.study.locks import FileLock


def test_a_failed_job_leaves_a_partial_report_and_the_next_run_completes_it(finished_copy):
    project = finished_copy()
    where = ("drawn", "none", "two", 0)
    project.paths.block("fits", *where).unlink()
    in_the_way = project.paths.block_lock(*where)
    in_the_way.unlink()
    in_the_way.mkdir()
    ran = project.snakemake()
    assert ran.code == 1
    assert "block drawn none two 0000: [Errno 21] Is a directory" in ran.output
    assert not project.paths.complete.exists()
    assert "missing" in project.paths.report.read_text()
    in_the_way.rmdir()
    ran = project.snakemake()
    assert ran.code == 0, ran.output
    assert project.paths.complete.is_file()


def test_what_an_earlier_plan_came_to_is_not_taken_for_the_new_one(finished_copy):
    project = finished_copy()
    project.write(seed=8)
    assert project.snakemake("--until", "data").code == 0
    assert not project.paths.complete.exists()
    assert project.emlib("report", "tiny").code == 1
    report = project.paths.report.read_text()
    assert "Partial report" in report
    assert "of an earlier plan" in report


def test_a_second_run_of_a_study_stops_while_the_first_is_alive(finished_copy):
    project = finished_copy()
    project.write(replicates=3)
    with FileLock(project.paths.lock):
        ran = project.snakemake("--until", "block")
        assert ran.code != 0
        assert "is being run by another Snakemake" in ran.output
        assert "Traceback" not in ran.output
        assert not project.block_files("fits").keys() & {"fits/drawn/none/two/0002.parquet"}
