"""Measuring: minima -> rays -> volumes, minima -> estimates, minima -> flatness.

Requires: STUDY, minima, and the receipt of the job's data set.
Provides: radii of every minimum in every landscape (expensive, done once), the volumes computed
          from them (cheap), and if named volumes by estimators that ask the network again, and
          sharpness and curvature.
"""


rule rays:
    """Solve the radius of every direction in every landscape for the minima of one job."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        rays=jobs.rays_file(STUDY, "{job}"),
    log:
        jobs.log_file(STUDY, "rays", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "rays", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("rays", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("rays", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "rays"),
    message:
        "Measuring rays of {wildcards.job}"
    shell:
        "basins rays"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.rays:q}"
        " --log {log:q}"


rule volume:
    """Turn the radii of one job into volumes with intervals and diagnostics."""
    input:
        rays=jobs.rays_file(STUDY, "{job}"),
    output:
        volumes=jobs.volumes_file(STUDY, "{job}"),
    log:
        jobs.log_file(STUDY, "volume", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "volume", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("volume", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("volume", wildcards.job).minutes,
        volumes_at_once=1,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "volume"),
    message:
        "Integrating volumes of {wildcards.job}"
    shell:
        "basins volume"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --rays {input.rays:q}"
        " --output {output.volumes:q}"
        " --log {log:q}"


rule estimate:
    """Measure volumes of one job's minima by the estimators that ask the network again."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        estimates=jobs.job_file(STUDY, "{job}", "estimate"),
    log:
        jobs.log_file(STUDY, "estimate", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "estimate", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("estimate", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("estimate", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "estimate"),
    message:
        "Measuring volumes of {wildcards.job}"
    shell:
        "basins estimate"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.estimates:q}"
        " --log {log:q}"


rule flatness:
    """Measure sharpness and curvature of the minima of one job in every landscape."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        flatness=jobs.job_file(STUDY, "{job}", "flatness"),
    log:
        jobs.log_file(STUDY, "flatness", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "flatness", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("flatness", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("flatness", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "flatness"),
    message:
        "Measuring flatness of {wildcards.job}"
    shell:
        "basins flatness"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.flatness:q}"
        " --log {log:q}"
