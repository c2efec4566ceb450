# Fits: compiled once, then one job a block (dataset x missingness x model x some replicates).
# A block's params are digests of what decides its content; the store keeps finished fits.

PIN = " ".join(
    f"export {name}={{threads}};"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    )
)


def block_job(w):
    return STUDY.job("blocks", w.dataset, w.missingness, w.model, w.block)


rule kernels:
    output:
        f"{ROOT}/kernels/{{family}}.txt",
    params:
        fingerprint=lambda w: STUDY.job("kernels", w.family),
    log:
        f"{ROOT}/logs/kernels/{{family}}.log",
    conda:
        "environment.yaml"
    shell:
        PIN + "python -m emlib kernels {ROOT} {wildcards.family} --output {output} > {log} 2>&1"


rule block:
    input:
        f"{ROOT}/data/{{dataset}}/{{block}}.npz",
        f"{ROOT}/masks/{{dataset}}/{{missingness}}/{{block}}.npz",
        lambda w: f"{ROOT}/kernels/{block_job(w)['family']}.txt",
    output:
        **{
            kind: f"{ROOT}/{kind}/{{dataset}}/{{missingness}}/{{model}}/{{block}}.parquet"
            for kind in ("fits", "curves", "timings", "references", "params")
        },
    params:
        fingerprint=lambda w: block_job(w)["fingerprint"],
        fits=lambda w: block_job(w)["fits"],
        lost=lambda w: block_job(w)["lost"],
    log:
        f"{ROOT}/logs/block/{{dataset}}/{{missingness}}/{{model}}/{{block}}.log",
    threads: 1
    conda:
        "environment.yaml"
    shell:
        PIN + "python -m emlib block {ROOT} {wildcards.dataset} {wildcards.missingness} "
        "{wildcards.model} {wildcards.block} --fingerprint {params.fingerprint} > {log} 2>&1"
