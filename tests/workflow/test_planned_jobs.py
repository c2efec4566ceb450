"""What `emlib plan` counts is what Snakemake runs."""

import re

from tests.workflow.project import TINY


def test_a_dry_run_counts_the_jobs_that_plan_counts(project):
    t = {"family": "student_mixture", "n_components": 2}
    project.write(models={**TINY["models"], "t": t}, strict=True, replicates=3, block_size=2)
    planned = project.emlib("plan")
    dry = project.snakemake("--dry-run", "--quiet", "rules")
    assert (planned.code, dry.code) == (0, 0), planned.output + dry.output
    counted = dict(re.findall(r"^(\w+) +(\d+)$", dry.output, re.MULTILINE))
    total = counted.pop("total")
    (line,) = re.findall(r"^jobs +(.*)$", planned.output, re.MULTILINE)
    assert line.startswith(f"{total}: ")
    assert {rule: n for n, rule in re.findall(r"(\d+) (\w+)", line)} == counted
    assert counted["kernels"] == "2"


def test_snakemake_looks_at_what_waits_once_a_job_and_keeps_to_a_limit_that_is_asked_for(project):
    until = ("--until", "masks", "kernels", "--verbose")
    ran = project.snakemake(*until, cores=1)
    limited = project.snakemake(*until, "--forceall", "--max-jobs-per-timespan", "50/1s", cores=1)
    for one in (ran, limited):
        assert one.code == 0, one.output
    jobs = ran.output.count("Finished jobid")
    assert jobs > 5
    assert ran.output.count("Ready jobs:") == jobs
    assert limited.output.count("Ready jobs:") > jobs
