"""Jobs: each minimum once, ids that lead back, fingerprints that change when they must."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basins.study import fingerprints, jobs
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


@pytest.mark.parametrize(
    ("keys", "verbs"),
    [
        ({"title": "Another"}, []),
        ({"data_root": "elsewhere"}, []),
        ({"models": ["mlp-8"], "datasets": ["digits"]}, []),
        ({"train_sizes": [20], "landscape_sizes": [20, 60]}, []),
        ({"study": "other"}, ["rays", "volume"]),
        ({"landscape_sizes": [20, 60, 70]}, ["rays", "volume"]),
        ({"measure": {"volume": {"thresholds": [0.1], "directions": 3}}}, ["rays", "volume"]),
        ({"seeds_per_job": 2, "seeds": 2}, ["train", "rays", "volume"]),
        ({"initialization_seed": 0}, ["train", "rays", "volume"]),
        ({"class_balanced": True}, ["train", "rays", "volume"]),
        ({"device": "cpu"}, ["train", "rays", "volume"]),
        ({"threads": 2}, ["train", "rays", "volume"]),
        ({"measure": {"volume": {"thresholds": [0.1], "stderr": 0.3}}}, []),
        ({"measure": {"volume": {"thresholds": [0.1], "estimators": ["rays", "annealed"]}}}, []),
    ],
    ids=str,
)
def test_each_key_changes_exactly_the_fingerprints_that_depend_on_it(keys, verbs):
    before, after = study_with(), study_with(**keys)
    first, second = jobs.expand(before)[0].id, jobs.expand(after)[0].id
    changed = [
        verb
        for verb in ("train", "rays", "volume")
        if fingerprints.of(before, first, verb) != fingerprints.of(after, second, verb)
    ]
    assert changed == verbs


def test_every_path_takes_the_wildcard():
    study = study_with()
    job_paths = [jobs.minima_file, jobs.rays_file, jobs.volumes_file, jobs.checkpoint_file]
    paths = [path(study, "{job}") for path in job_paths]
    paths += [path(study, "rays", "{job}") for path in (jobs.log_file, jobs.benchmark_file)]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to("results/some") and path.stem == "{job}" for path in paths)
    assert jobs.dataset_file(study, "my.data:load").name == "my.data-load.json"


def test_fingerprint_changes_with_what_the_result_depends_on():
    study = study_with()
    job = jobs.expand(study)[0].id
    changed = {
        "train": study_with(subset_seed=1),
        "rays": study_with(measure={"volume": {"thresholds": [0.2]}}),
    }
    for verb in ("train", "rays", "volume"):
        assert fingerprints.of(study, job, verb) != fingerprints.of(changed["train"], job, verb)
        is_same = fingerprints.of(study, job, verb) == fingerprints.of(changed["rays"], job, verb)
        assert is_same == (verb == "train")
    other = study_with(
        title="Another title", recipes=MAPPING["recipes"] | {"c": MAPPING["recipes"]["b"]}
    )
    assert fingerprints.of(study, job, "volume") == fingerprints.of(other, job, "volume")


def test_estimates_depend_on_what_is_asked_of_estimators():
    def asking(**keys):
        names = {"thresholds": [0.1], "estimators": ["rays", "laplace", "annealed"]}
        return study_with(measure={"volume": names | keys})

    study = asking()
    assert jobs.verbs(study_with()) == ("train", "rays", "volume")
    assert jobs.verbs(study) == ("train", "rays", "volume", "estimate")
    assert jobs.asking_estimators(study) == ["annealed", "laplace"]
    job = jobs.expand(study)[0].id
    same = asking(estimators=["annealed", "laplace", "rays"])
    assert fingerprints.of(study, job, "estimate") == fingerprints.of(same, job, "estimate")
    for keys in (
        {"stderr": 0.5},
        {"max_evaluations": 10.0},
        {"directions": 7},
        {"estimators": ["rays", "annealed"]},
    ):
        other = asking(**keys)
        assert fingerprints.of(study, job, "estimate") != fingerprints.of(other, job, "estimate")


def test_a_warm_start_depends_on_the_recipe_it_names():
    warm = MAPPING["recipes"]["b"] | {"warm_start": {"recipe": "a", "epochs": 2}}
    other = MAPPING["recipes"]["a"] | {"learning_rate": 0.03}
    prints = {}
    for name, first in (("before", MAPPING["recipes"]["a"]), ("after", other)):
        study = study_with(recipes={"a": first, "b": MAPPING["recipes"]["b"], "w": warm})
        prints[name] = {
            job.recipe: fingerprints.of_job(study, job, "train") for job in jobs.expand(study)
        }
    before, after = prints["before"], prints["after"]
    assert [name for name in before if before[name] != after[name]] == ["a", "w"]
