# MLflow is a mirror of finished files: the database is never an output, the receipt is.
# The tables exist once every block does, so the mirror is written while the report is drawn.


rule mirror:
    input:
        rules.tables.output,
    output:
        f"{ROOT}/mlflow.json",
    log:
        f"{ROOT}/logs/mirror.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        digest=STUDY.jobs["mirror"],
    shell:
        f"{PIN_THREADS}python -m emlib mirror results/{{params.study}} > {{log}} 2>&1"
