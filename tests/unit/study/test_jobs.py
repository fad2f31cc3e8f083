"""Jobs: each minimum once, ids that lead back, fingerprints that change when they must."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basins.study import jobs
from basins.study.load import parse_study
from basins.study.schema import StudyError

MAPPING = {
    "study": "some",
    "datasets": ["digits", "my.data:load"],
    "models": ["mlp-8", "linear"],
    "train_sizes": [20, 60],
    "seeds": 3,
    "recipes": {
        "a": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 10},
        "b": {"optimizer": "sgd", "learning_rate": 0.02, "epochs": 10},
    },
    "measure": {"volume": {"thresholds": [0.1]}},
}


def study_with(**keys):
    return parse_study(MAPPING | keys, "test")


@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=9, unique=True),
    per_job=st.integers(1, 10),
)
def test_jobs_hold_each_minimum_once_and_ids_lead_back(seeds, per_job):
    study = study_with(seeds=seeds, seeds_per_job=per_job)
    blocks = jobs.expand(study)
    minima = [jobs.minimum_name(job, seed) for job in blocks for seed in job.seeds]
    assert len(minima) == len(set(minima)) == 2 * 2 * 2 * 2 * len(seeds)
    assert len({job.id for job in blocks}) == len(blocks)
    for job in blocks:
        assert jobs.find(study, job.id) == job
        assert re.fullmatch(jobs.JOB_PATTERN, job.id)
        assert ":" not in job.id


@pytest.mark.parametrize("job_id", ["nonsense", "mlp-8/digits/a/n21/seeds-0-2", "a/b/c/nx/seeds-0"])
def test_unknown_job_is_one_sentence(job_id):
    with pytest.raises(StudyError, match=re.escape(f"job '{job_id}' is not in study some")):
        jobs.find(study_with(), job_id)


def test_unknown_data_set_of_a_path_is_one_sentence():
    study = study_with()
    assert jobs.dataset_named(study, "my.data-load") == "my.data:load"
    with pytest.raises(StudyError, match="data set 'x' is not in study some"):
        jobs.dataset_named(study, "x")


def test_fingerprint_changes_with_what_the_result_depends_on():
    study = study_with()
    job = jobs.expand(study)[0].id
    changed = {
        "train": study_with(subset_seed=1),
        "rays": study_with(measure={"volume": {"thresholds": [0.2]}}),
    }
    for verb in ("train", "rays", "volume"):
        assert jobs.fingerprint(study, job, verb) != jobs.fingerprint(changed["train"], job, verb)
        is_same = jobs.fingerprint(study, job, verb) == jobs.fingerprint(changed["rays"], job, verb)
        assert is_same == (verb == "train")
    other = study_with(
        title="Another title", recipes=MAPPING["recipes"] | {"c": MAPPING["recipes"]["b"]}
    )
    assert jobs.fingerprint(study, job, "volume") == jobs.fingerprint(other, job, "volume")
