# Fits: compiled once, then one job a block (dataset x missingness x model x some replicates).
# A block's params are digests of what decides its content; the store keeps finished fits.


rule kernels:
    output:
        f"{ROOT}/kernels/{{family}}.txt",
    log:
        f"{ROOT}/logs/kernels/{{family}}.log",
    conda:
        "environment.yaml"
    params:
        study=STUDY.name,
        fingerprint=lambda w: STUDY.job("kernels", w.family),
    shell:
        PIN_THREADS
        + "python -m emlib kernels results/{params.study} {wildcards.family} --output {output} > {log} 2>&1"


rule block:
    input:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
        f"{ROOT}/masks/{{dataset}}/{{missingness}}/{{block}}.npz",
        lambda w: f"{ROOT}/kernels/{STUDY.block(w)['family']}.txt",
    output:
        **{
            kind: f"{ROOT}/{kind}/{{dataset}}/{{missingness}}/{{model}}/{{block}}.parquet"
            for kind in (
                "fits",
                "curves",
                "timings",
                "references",
                "params",
                "certificates",
            )
        },
    log:
        f"{ROOT}/logs/block/{{dataset}}/{{missingness}}/{{model}}/{{block}}.log",
    conda:
        "environment.yaml"
    threads: 1
    resources:
        runtime=lambda w, attempt: STUDY.limit("runtime", attempt),
        mem_mb=lambda w, attempt: STUDY.limit("mem_mb", attempt),
    params:
        study=STUDY.name,
        fingerprint=lambda w: STUDY.block(w)["fingerprint"],
        fits=lambda w: STUDY.block(w)["fits"],
        lost=lambda w: STUDY.block(w)["lost"],
    shell:
        PIN_THREADS
        + "python -m emlib block results/{params.study} {wildcards.dataset} {wildcards.missingness} "
        "{wildcards.model} {wildcards.block} --fingerprint {params.fingerprint} "
        "--planned-as {params.fits} --threads {threads} > {log} 2>&1"
