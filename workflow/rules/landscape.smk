"""The landscape around minima: what is computed to be drawn.

Requires: STUDY, minima, and the receipt of the job's data set.
Provides: losses in planes through minima, with the paths that lead to them, and through minima of
          three train sizes; decision boundaries; all minima of a model and data set, with the
          paths, as points of a plane; curves from one minimum to another; and how many
          different minima seeds find.
"""


rule planes:
    """Compute losses in a random plane through each minimum of one job, in every landscape."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        planes=jobs.job_file(STUDY, "{job}", "planes"),
    log:
        jobs.log_file(STUDY, "planes", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "planes", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("planes", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("planes", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.job, "planes"),
    message:
        "Computing planes of {wildcards.job}"
    shell:
        "basins planes"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.planes:q}"
        " --log {log:q}"


rule boundaries:
    """Compute where the minima of one job draw the line between two classes."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        boundaries=jobs.job_file(STUDY, "{job}", "boundaries"),
    log:
        jobs.log_file(STUDY, "boundaries", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "boundaries", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("boundaries", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("boundaries", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(
            STUDY, wildcards.job, "boundaries"
        ),
    message:
        "Computing boundaries of {wildcards.job}"
    shell:
        "basins boundaries"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.boundaries:q}"
        " --log {log:q}"


rule trajectories:
    """Compute losses in the principal plane of each path of one job, in every landscape."""
    input:
        minima=jobs.minima_file(STUDY, "{job}"),
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.job),
    output:
        trajectories=jobs.job_file(STUDY, "{job}", "trajectories"),
    log:
        jobs.log_file(STUDY, "trajectories", "{job}"),
    benchmark:
        jobs.benchmark_file(STUDY, "trajectories", "{job}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("trajectories", wildcards.job).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("trajectories", wildcards.job).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(
            STUDY, wildcards.job, "trajectories"
        ),
    message:
        "Computing trajectories of {wildcards.job}"
    shell:
        "basins trajectories"
        " --study {params.study:q}"
        " --job {wildcards.job:q}"
        " --receipt {input.receipt:q}"
        " --minima {input.minima:q}"
        " --output {output.trajectories:q}"
        " --log {log:q}"


rule size_planes:
    """Compute losses in the planes through minima of three train sizes, in every landscape."""
    input:
        minima=lambda wildcards: [
            jobs.minima_file(STUDY, job.id)
            for job in jobs.minima_of_cell(
                STUDY, jobs.find_cell(STUDY, wildcards.cell)
            )
        ],
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.cell),
    output:
        size_planes=jobs.job_file(STUDY, "{cell}", "size_planes"),
    log:
        jobs.log_file(STUDY, "size_planes", "{cell}"),
    benchmark:
        jobs.benchmark_file(STUDY, "size_planes", "{cell}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("size_planes", wildcards.cell).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("size_planes", wildcards.cell).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(
            STUDY, wildcards.cell, "size_planes"
        ),
    message:
        "Computing size planes of {wildcards.cell}"
    shell:
        "basins size_planes"
        " --study {params.study:q}"
        " --cell {wildcards.cell:q}"
        " --receipt {input.receipt:q}"
        " --output {output.size_planes:q}"
        " --log {log:q}"


rule minefield:
    """Place all minima of one model and data set, and the paths to them, in a plane."""
    input:
        minima=lambda wildcards: [
            jobs.minima_file(STUDY, job.id)
            for job in jobs.minima_of_cell(
                STUDY, jobs.find_cell(STUDY, wildcards.cell)
            )
        ],
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.cell),
    output:
        minefield=jobs.job_file(STUDY, "{cell}", "minefield"),
    log:
        jobs.log_file(STUDY, "minefield", "{cell}"),
    benchmark:
        jobs.benchmark_file(STUDY, "minefield", "{cell}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("minefield", wildcards.cell).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("minefield", wildcards.cell).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(
            STUDY, wildcards.cell, "minefield"
        ),
    message:
        "Placing the minima of {wildcards.cell}"
    shell:
        "basins minefield"
        " --study {params.study:q}"
        " --cell {wildcards.cell:q}"
        " --receipt {input.receipt:q}"
        " --output {output.minefield:q}"
        " --log {log:q}"


rule curves:
    """Train curves between minima of one model and data set, and measure along them."""
    input:
        minima=lambda wildcards: [
            jobs.minima_file(STUDY, job.id)
            for job in curves.joined(STUDY, jobs.find_cell(STUDY, wildcards.cell))
        ],
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.cell),
    output:
        curves=jobs.job_file(STUDY, "{cell}", "curves"),
    log:
        jobs.log_file(STUDY, "curves", "{cell}"),
    benchmark:
        jobs.benchmark_file(STUDY, "curves", "{cell}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("curves", wildcards.cell).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("curves", wildcards.cell).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.cell, "curves"),
    message:
        "Joining minima of {wildcards.cell}"
    shell:
        "basins curves"
        " --study {params.study:q}"
        " --cell {wildcards.cell:q}"
        " --receipt {input.receipt:q}"
        " --output {output.curves:q}"
        " --log {log:q}"


rule distinct:
    """Count the different minima that the seeds of one model and data set find."""
    input:
        minima=lambda wildcards: [
            jobs.minima_file(STUDY, job.id)
            for job in jobs.minima_of_cell(
                STUDY, jobs.find_cell(STUDY, wildcards.cell)
            )
        ],
        receipt=lambda wildcards: jobs.receipt_of(STUDY, wildcards.cell),
    output:
        distinct=jobs.job_file(STUDY, "{cell}", "distinct"),
    log:
        jobs.log_file(STUDY, "distinct", "{cell}"),
    benchmark:
        jobs.benchmark_file(STUDY, "distinct", "{cell}")
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * ask("distinct", wildcards.cell).mem_mb,
        runtime=lambda wildcards, attempt: attempt
        * ask("distinct", wildcards.cell).minutes,
        gpu=GPUS,
    params:
        study=jobs.study_file(STUDY),
        fingerprint=lambda wildcards: fingerprints.of(STUDY, wildcards.cell, "distinct"),
    message:
        "Comparing the minima of {wildcards.cell}"
    shell:
        "basins distinct"
        " --study {params.study:q}"
        " --cell {wildcards.cell:q}"
        " --receipt {input.receipt:q}"
        " --output {output.distinct:q}"
        " --log {log:q}"
