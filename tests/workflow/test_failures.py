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
    assert "tiny/report.html (1 of 6 blocks are missing: drawn/none/two/0000)" in ran.output
    in_the_way.rmdir()
    ran = project.snakemake()
    assert ran.code == 0, ran.output
    assert project.paths.complete.is_file()


def test_a_mirror_that_fails_leaves_a_whole_study_whole(finished_copy, monkeypatch):
    project = finished_copy()
    project.write(tracking={"uri": "http://me:$PASSWORD@127.0.0.1:9/", "runs": "none"})
    monkeypatch.delenv("PASSWORD", raising=False)
    before = project.paths.report.read_bytes()
    ran = project.snakemake()
    assert ran.code == 1
    said = "names the environment variable PASSWORD, which is not set; the mirror, at the end, will"
    assert said in ran.output
    assert project.paths.complete.is_file()
    assert project.paths.report.read_bytes() == before
    project.write(tracking={"uri": None})
    ran = project.snakemake()
    assert ran.code == 0, ran.output
    assert "block" not in ran.output.split("Job stats:")[-1].split("total")[0]


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
