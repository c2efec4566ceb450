# One study, from its config file to its report and its mirror in MLflow:
#
#     snakemake --cores 8
#     snakemake --cores 8 --configfile my.yaml
#     snakemake --cores 8 --config study=quick replicates=3
#
# The rules are in rules/; what they run is `python -m emlib ...`.

from emlib.errors import EmlibError
from emlib.study.head import DEFAULT_CONFIG, PIN_THREADS, WILDCARDS, Head

try:
    STUDY = Head(workflow)
except EmlibError as error:
    raise WorkflowError(str(error)) from None

if not workflow.configfiles:

    configfile: DEFAULT_CONFIG


wildcard_constraints:
    **WILDCARDS,


# Where blocks run on a cluster, what gathers them stays with the Snakemake that was started.
localrules:
    all,
    tables,
    report,
    mirror,
    strict,


include: "rules/datasets.smk"
include: "rules/fits.smk"
include: "rules/reports.smk"
include: "rules/tracking.smk"


rule all:
    default_target: True
    input:
        STUDY.targets(),
    message:
        "The study is whole."


onstart:
    try:
        STUDY.begin()
    except EmlibError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    STUDY.say_done()


onerror:
    STUDY.say_failed()
