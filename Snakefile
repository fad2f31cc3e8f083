from snakemake.utils import min_version

min_version("9.10")

if "study" not in config:

    configfile: "config/demo.yaml"


report: "workflow/report/study.rst"


include: "workflow/rules/cluster.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/landscape.smk"
include: "workflow/rules/classes.smk"
include: "workflow/rules/cube.smk"
include: "workflow/rules/figures.smk"


rule all:
    default_target: True
    input:
        cube=jobs.cube_file(STUDY),
        figures=expand(
            jobs.figure_file(STUDY, "{name}", "png"), name=figure_names.figures(STUDY)
        ),
        explorer=jobs.explorer_file(STUDY),
        animation=(
            [jobs.animation_file(STUDY)] if figure_names.is_animated(STUDY) else []
        ),
    params:
        summary=lambda wildcards: summary(),
    message:
        "{params.summary}"
