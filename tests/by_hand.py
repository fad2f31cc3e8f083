"""Studies run verb by verb in one process, as the workflow would."""

import pytest

from basins import cli
from basins.study import jobs
from basins.study.load import load_study


def run(*arguments):
    cli.main([str(argument) for argument in arguments])


def run_study(path, *how):
    """Run every verb of a study in order, as the workflow does; `how` goes to train and rays."""
    study = load_study(path)
    for name in study.datasets:
        receipt = jobs.dataset_file(study, name)
        run("fetch", "--study", path, "--dataset", name, "--output", receipt)
    for job in jobs.expand(study):
        receipt, places = (
            jobs.receipt_of(study, job.id),
            [
                place(study, job.id)
                for place in (jobs.minima_file, jobs.rays_file, jobs.volumes_file)
            ],
        )
        common = ["--study", path, "--job", job.id]
        if job.transform:
            parent = jobs.minima_file(study, jobs.parent(study, job).id)
            data = ["--receipt", receipt, "--minima", parent]
            run("transform", *common, *data, "--output", places[0])
        else:
            run("train", *common, "--receipt", receipt, "--output", places[0], *how)
        measured = ["--minima", places[0], "--output", places[1]]
        run("rays", *common, "--receipt", receipt, *measured, *how)
        run("volume", *common, "--rays", places[1], "--output", places[2])
        for verb in ("estimate", "flatness", "planes", "boundaries", "trajectories"):
            if verb in jobs.verbs_of(study, job):
                data = ["--receipt", receipt, "--minima", places[0]]
                run(verb, *common, *data, "--output", jobs.job_file(study, job.id, verb))
    for cell in jobs.cells(study):
        receipt = jobs.receipt_of(study, cell.id)
        for verb in jobs.cell_verbs(study):
            output = jobs.job_file(study, cell.id, verb)
            given = ["--study", path, "--cell", cell.id, "--receipt", receipt]
            run(verb, *given, "--output", output)
    run("cube", "--study", path, "--output", jobs.cube_file(study))
    return study


def failing(capsys, *arguments):
    """Run a verb that must fail; return what it says."""
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in said
    return said
