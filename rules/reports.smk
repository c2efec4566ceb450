# Blocks -> tables -> figures and report. `complete.json` exists only when nothing is missing.

FIGURES = (
    "hit_probability",
    "differences",
    "data_profile",
    "data_profile_seconds",
    "convergence",
    "convergence_e_steps",
    "loss_distribution",
    "missing_rate",
    "statuses",
)
TABLES = (
    "cells",
    "differences",
    "profiles",
    "curves",
    "curves_e_steps",
    "losses",
    "estimation",
    "correlations",
    "sensitivity",
    "sensitivity_summary",
    "references",
    "optima",
    "basins",
    "budgets",
    "worst",
    "coverage",
    "machines",
    "replicates",
    "hits",
    "rings",
)
PICTURES = []
if STUDY.jobs["images"]:  # a study of images has figures of its own
    FIGURES += (
        "uv_coverage",
        "images",
        "image_deviations",
        "video_frames",
        "spot_angle",
        "quality",
    )
    PICTURES = [f"{ROOT}/tables/pictures.npz"]


rule tables:
    input:
        STUDY.block_files(),
    output:
        expand(f"{ROOT}/tables/{{name}}.parquet", name=TABLES),
        PICTURES,
    log:
        f"{ROOT}/logs/tables.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        digest=STUDY.jobs["report"],
    shell:
        f"{PIN_THREADS}python -m emlib tables results/{{params.study}} > {{log}} 2>&1"


rule report:
    input:
        rules.tables.output,
    output:
        [
            report(
                f"{ROOT}/figures/{name}.svg",
                caption=f"captions/{name}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " ")},
            )
            for name in FIGURES
        ],
        expand(f"{ROOT}/figures/{{name}}.pdf", name=FIGURES),
        html=f"{ROOT}/report.html",
        complete=f"{ROOT}/complete.json",
    log:
        f"{ROOT}/logs/report.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        digest=STUDY.jobs["report"],
    shell:
        f"{PIN_THREADS}python -m emlib report results/{{params.study}} > {{log}} 2>&1"


rule strict:
    input:
        f"{ROOT}/complete.json",
        f"{ROOT}/mlflow.json",
        STUDY.block_files(["fits"]),
    output:
        f"{ROOT}/strict.json",
    log:
        f"{ROOT}/logs/strict.log",
    retries: 0
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
    shell:
        PIN_THREADS
        + "python -m emlib strict results/{params.study} --output {output} 2>&1 | tee {log}"
