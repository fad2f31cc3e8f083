"""Figures: cube -> pictures, for the eye and for print, and a page to look around in.

Requires: the cube.
Provides: each figure as PNG (in the report, with its caption) and as PDF, the explorer, and an
          animation of losses in a plane where the study measures them in more than one landscape.
"""

import os


rule figure:
    """Draw one figure from the cube alone."""
    input:
        cube=jobs.cube_file(STUDY),
    output:
        png=report(
            jobs.figure_file(STUDY, "{name}", "png"),
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
        pdf=jobs.figure_file(STUDY, "{name}", "pdf"),
    log:
        jobs.log_file(STUDY, "figure", "{name}"),
    benchmark:
        jobs.benchmark_file(STUDY, "figure", "{name}")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("figure").mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("figure").minutes,
    message:
        "Drawing figure {wildcards.name}"
    shell:
        "basins figure"
        " --cube {input.cube:q}"
        " --name {wildcards.name:q}"
        " --png {output.png:q}"
        " --pdf {output.pdf:q}"
        " --log {log:q}"


rule explorer:
    """Write one page for a browser: all minima, what was measured of each, and the figures."""
    input:
        cube=jobs.cube_file(STUDY),
        figures=expand(
            jobs.figure_file(STUDY, "{name}", "png"), name=figure_names.figures(STUDY)
        ),
    output:
        page=jobs.explorer_file(STUDY),
    log:
        jobs.log_file(STUDY, "explorer", "all"),
    benchmark:
        jobs.benchmark_file(STUDY, "explorer", "all")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("explorer").mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("explorer").minutes,
    params:
        figures=jobs.figures_folder(STUDY),
        captions=os.path.relpath(f"{workflow.basedir}/workflow/report/figure.rst"),
    message:
        "Writing the explorer of study {STUDY.study}"
    shell:
        "basins explore"
        " --cube {input.cube:q}"
        " --figures {params.figures:q}"
        " --captions {params.captions:q}"
        " --output {output.page:q}"
        " --log {log:q}"


rule animation:
    """Animate the loss in a plane through one minimum as the landscape gets more examples."""
    input:
        cube=jobs.cube_file(STUDY),
    output:
        gif=report(
            jobs.animation_file(STUDY),
            caption="../report/animation.rst",
            category="Figures",
            labels={"figure": "landscape"},
        ),
    log:
        jobs.log_file(STUDY, "animation", "landscape"),
    benchmark:
        jobs.benchmark_file(STUDY, "animation", "landscape")
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * ask("animation").mem_mb,
        runtime=lambda wildcards, attempt: attempt * ask("animation").minutes,
    message:
        "Animating the landscape"
    shell:
        "basins animate"
        " --cube {input.cube:q}"
        " --output {output.gif:q}"
        " --log {log:q}"
