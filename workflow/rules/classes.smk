"""Whole classes of solutions: what needs no minimum, but a prior and the examples.

Requires: STUDY, and the receipt of the cell's data set.
Provides: the share of the prior that all solutions of a model and data set have together.
"""


rule guess:
    """Draw parameters from the prior, check their loss, and go on among those that have less."""
    input:
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.cell),
    output:
        classes=jobs.job_file(STUDY, "{cell}", "guess"),
    log:
        jobs.log_file(STUDY, "guess", "{cell}"),
    benchmark:
        jobs.benchmark_file(STUDY, "guess", "{cell}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("guess", wildcards.cell).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("guess", wildcards.cell).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.cell, "guess"),
    message:
        "Guessing solutions of {wildcards.cell}"
    shell:
        "basins guess"
        " --study {params.study:q}"
        " --cell {wildcards.cell:q}"
        " --receipt {input.receipt:q}"
        " --output {output.classes:q}"
        " --log {log:q}"
