"""Decision boundaries of a study: computed, merged, drawn, and refused where there are none."""

import h5py
import numpy as np
import pytest
import torch
from by_hand import failing, run, run_study

from basins.cube.read import open_group
from basins.cube.schema import validate
from basins.datasets import swiss_roll
from basins.datasets.subsets import order
from basins.models.functional import Network, build
from basins.plan import memory
from basins.study import jobs
from basins.study.load import check_plane_of_inputs
from basins.study.schema import StudyError

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 50, "loss": "binary_cross_entropy"}


def asking(**boundaries):
    volume = {"directions": 12, "thresholds": [0.5]}
    return {"volume": volume, "boundaries": boundaries}


@pytest.mark.parametrize(("loss", "outputs"), [("binary_cross_entropy", 1), ("cross_entropy", 2)])
def test_the_cube_holds_outputs_and_examples(study_file, loss, outputs):
    keys = {"datasets": ["swiss-roll"], "recipes": {"adam": ADAM | {"loss": loss}}}
    study = run_study(study_file(measure=asking(points=5, extent=0.8), **keys))
    data = swiss_roll.load()
    network = Network(build("mlp-8", (2,), outputs, 0))
    with open_group(jobs.cube_file(study), "/boundaries") as found:
        validate(found, "/boundaries")
        np.testing.assert_allclose(found.input_x, [-0.8, -0.4, 0, 0.4, 0.8])
        for job in jobs.expand(study):
            one = found.sel(train_size=job.train_size, seed=job.seeds[0]).squeeze()
            with h5py.File(jobs.minima_file(study, job.id)) as file:
                theta = torch.from_numpy(file["parameters"][0])
            for x, y in ((0.4, -0.8), (-0.4, 0.0)):
                values = network.apply(theta, torch.tensor([[x, y]]))[0]
                lead = values[-1] - values[0] if outputs == 2 else values[0]
                place = one.class_lead.sel(input_x=x, input_y=y, method="nearest")
                assert place.item() == pytest.approx(lead.item(), rel=1e-4, abs=1e-5)
            chosen = order(data.name, data.targets, job.seeds[0])[: job.train_size]
            points = np.stack([one.point_x, one.point_y], axis=1)
            np.testing.assert_array_equal(points[: job.train_size], data.inputs[chosen])
            np.testing.assert_array_equal(one.point_class[: job.train_size], data.targets[chosen])
            assert np.isnan(points[job.train_size :]).all()
            written = jobs.job_file(study, job.id, "boundaries").stat().st_size
            assert written / 1.5 < memory.result_bytes(study, job, "boundaries") < 1.5 * written
    files = ["--png", "a.png", "--pdf", "a.pdf"]
    run("figure", "--cube", jobs.cube_file(study), "--name", "decision_boundaries", *files)


def test_minima_that_diverged_have_no_boundaries(study_file):
    recipes = {"adam": ADAM, "wild": ADAM | {"optimizer": "sgd", "learning_rate": 1e30}}
    keys = {"datasets": ["swiss-roll"], "train_sizes": [20], "seeds": 1, "recipes": recipes}
    study = run_study(study_file(measure=asking(points=3), **keys))
    with open_group(jobs.cube_file(study), "/boundaries") as found:
        assert found.class_lead.sel(recipe="wild").isnull().all()
        assert found.class_lead.sel(recipe="adam").notnull().all()
    files = ["--png", "a.png", "--pdf", "a.pdf"]
    run("figure", "--cube", jobs.cube_file(study), "--name", "decision_boundaries", *files)


def test_bad_requests_are_one_sentence(study_file, capsys):
    said = failing(capsys, "check", study_file(measure=asking()))
    assert "measure.boundaries: inputs of digits have shape (1, 8, 8) and 10 classes" in said
    study = run_study(path := study_file(train_sizes=[20], seeds=1))
    job = jobs.expand(study)[0].id
    files = [
        *("--receipt", jobs.receipt_of(study, job)),
        *("--minima", jobs.minima_file(study, job)),
        *("--output", "o.h5"),
    ]
    said = failing(capsys, "boundaries", "--study", path, "--job", job, *files)
    assert "measure.boundaries: the study asks for none" in said
    with pytest.raises(StudyError, match=r"inputs of own:load have shape \(3,\)"):
        check_plane_of_inputs("own:load", (3,), 2)
