# MLflow is a mirror of finished files: the database is never an output, the receipt is.


rule mirror:
    input:
        rules.tables.output,
        f"{ROOT}/complete.json",
    output:
        f"{ROOT}/mlflow.json",
    params:
        digest=STUDY.jobs["mirror"],
    log:
        f"{ROOT}/logs/mirror.log",
    conda:
        "environment.yaml"
    shell:
        "python -m emlib mirror {ROOT} > {log} 2>&1"
