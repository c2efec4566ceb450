# Data and holes: one file a block, drawn from seed paths of their own.

ROOT = STUDY.root


rule data:
    output:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
    params:
        digest=lambda w: STUDY.job("data", w.dataset, w.block),
    log:
        f"{ROOT}/logs/data/{{dataset}}/{{block}}.log",
    conda:
        "environment.yaml"
    shell:
        "python -m emlib data {ROOT} {wildcards.dataset} {wildcards.block} > {log} 2>&1"


rule masks:
    input:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
    output:
        f"{ROOT}/masks/{{dataset}}/{{missingness}}/{{block}}.npz",
    params:
        digest=lambda w: STUDY.job("masks", w.dataset, w.missingness, w.block),
    log:
        f"{ROOT}/logs/masks/{{dataset}}/{{missingness}}/{{block}}.log",
    conda:
        "environment.yaml"
    shell:
        "python -m emlib masks {ROOT} {wildcards.dataset} {wildcards.missingness} "
        "{wildcards.block} > {log} 2>&1"
