"""The cube: job files -> one netCDF-4 file.

Requires: STUDY, minima, rays and volumes of every job, and what else is asked for.
Provides: the cube, whose schema is results/README.md.
"""


rule cube:
    """Merge all job files, one at a time, into the study's cube."""
    input:
        receipts=[jobs.dataset_file(STUDY, name) for name in STUDY.datasets],
        minima=[*jobs.job_files(STUDY, "train"), *jobs.job_files(STUDY, "transform")],
        rays=jobs.job_files(STUDY, "rays"),
        volumes=jobs.job_files(STUDY, "volume"),
        estimates=jobs.job_files(STUDY, "estimate"),
        flatness=jobs.job_files(STUDY, "flatness"),
        planes=jobs.job_files(STUDY, "planes"),
        boundaries=jobs.job_files(STUDY, "boundaries"),
        trajectories=jobs.job_files(STUDY, "trajectories"),
        size_planes=jobs.job_files(STUDY, "size_planes"),
        minefield=jobs.job_files(STUDY, "minefield"),
        curves=jobs.job_files(STUDY, "curves"),
        distinct=jobs.job_files(STUDY, "distinct"),
        classes=jobs.job_files(STUDY, "guess"),
    output:
        cube=jobs.cube_file(STUDY),
    log:
        jobs.log_file(STUDY, "cube", "all"),
    benchmark:
        jobs.benchmark_file(STUDY, "cube", "all")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("cube").mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("cube").minutes,
    params:
        study=jobs.study_file(STUDY),
        sha256=load.study_sha256(STUDY),
    message:
        "Merging the cube of study {STUDY.study}"
    shell:
        "basins cube"
        " --study {params.study:q}"
        " --output {output.cube:q}"
        " --log {log:q}"
