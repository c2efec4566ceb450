# Data and holes: one file a block, drawn from seed paths of their own.

ROOT = STUDY.root


rule data:
    output:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
    log:
        f"{ROOT}/logs/data/{{dataset}}/{{block}}.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        digest=lambda w: STUDY.job("data", w.dataset, w.block),
        fingerprint=lambda w: STUDY.job("drawing", w.dataset),
    shell:
        PIN_THREADS
        + "python -m emlib data results/{params.study} {wildcards.dataset} {wildcards.block} "
        "--fingerprint {params.fingerprint} > {log} 2>&1"


rule masks:
    input:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
    output:
        f"{ROOT}/masks/{{dataset}}/{{missingness}}/{{block}}.npz",
    log:
        f"{ROOT}/logs/masks/{{dataset}}/{{missingness}}/{{block}}.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        digest=lambda w: STUDY.job("masks", w.dataset, w.missingness, w.block),
        fingerprint=lambda w: STUDY.job("drawing", w.dataset),
    shell:
        PIN_THREADS
        + "python -m emlib masks results/{params.study} {wildcards.dataset} {wildcards.missingness} "
        "{wildcards.block} --fingerprint {params.fingerprint} > {log} 2>&1"
