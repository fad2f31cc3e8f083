"""Training: study -> minima, and minima -> minima of the same function.

Requires: STUDY and the receipt of the job's data set.
Provides: the minima of one job, a block of seeds of one model, data set, recipe and train size;
          what the study's transforms make of them, and where they were at an earlier epoch.
"""


rule train:
    """Train all seeds of one job together and keep every minimum, good or bad, with its marks."""
    input:
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        minima=jobs.minima_file(STUDY, "{job}"),
    log:
        jobs.log_file(STUDY, "train", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "train", "{job}")
    wildcard_constraints:
        job=jobs.TRAINED_PATTERN,
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("train", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("train", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "train"),
    message:
        "Training {wildcards.job}"
    shell:
        "basins train"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --output {output.minima:q}"
        " --log {log:q}"


rule transform:
    """Change the minima of one job but not their function, or take where training was earlier."""
    input:
        minima=lambda wildcards: jobs.minima_file(
            STUDY, jobs.parent(STUDY, jobs.find(STUDY, wildcards.job)).id
        ),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        minima=jobs.minima_file(STUDY, "{job}"),
    log:
        jobs.log_file(STUDY, "transform", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "transform", "{job}")
    wildcard_constraints:
        job=jobs.TRANSFORMED_PATTERN,
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("transform", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("transform", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "transform"),
    message:
        "Transforming {wildcards.job}"
    shell:
        "basins transform"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.minima:q}"
        " --log {log:q}"
