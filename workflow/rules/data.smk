"""Data sets: fetched and checked once, on the submitting machine (the only rule needing a network).

Requires: STUDY.
Provides: a receipt of each data set: sizes, normalisation and a digest that later jobs check.
"""


localrules:
    fetch,


rule fetch:
    """Fetch a data set if it is not there yet, check it, and write its receipt."""
    output:
        receipt=jobs.dataset_file(STUDY, "{dataset}"),
    log:
        jobs.log_file(STUDY, "fetch", "{dataset}"),
    benchmark:
        jobs.benchmark_file(STUDY, "fetch", "{dataset}")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        study=jobs.study_file(STUDY),
        data_root=STUDY.data_root,
    message:
        "Fetching data set {wildcards.dataset}"
    shell:
        "basins fetch"
        " --study {params.study:q}"
        " --dataset {wildcards.dataset:q}"
        " --output {output.receipt:q}"
        " --log {log:q}"
