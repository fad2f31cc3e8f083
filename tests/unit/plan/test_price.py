"""Prices and times: laws of schedules, and the plan as people and programs read it."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basins import verbs
from basins.plan import calibration, price, table
from basins.plan.remaining import Remaining, remaining
from basins.study import jobs
from basins.study.load import load_study, parse_study, save_study
from basins.study.measure_keys import PlaneMeasure

CHAINS = st.lists(st.tuples(*[st.integers(0, 20).map(float)] * 3), min_size=1, max_size=4)

STUDY = {
    "study": "priced",
    "datasets": ["digits"],
    "models": ["mlp-16"],
    "train_sizes": [20, 200],
    "seeds": 10,
    "seeds_per_job": 2,
    "device": "cpu",
    "recipes": {"adam": {"optimizer": "adam", "learning_rate": 0.01, "epochs": 100}},
    "measure": {"volume": {"thresholds": [0.1]}},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return parse_study(STUDY, "study")


def shortest(chains, workers):
    """The best schedule of all orders: no list schedule may be shorter."""
    best = float("inf")
    for order in itertools.permutations(range(len(chains))):
        free, ends = [0.0] * workers, []
        for index in order:
            at = 0.0
            for seconds in chains[index]:
                worker = min(range(workers), key=free.__getitem__)
                at = max(at, free[worker]) + seconds
                free[worker] = at
            ends.append(at)
        best = min(best, max(ends))
    return best


@given(CHAINS, st.integers(1, 4))
@settings(deadline=None)
def test_time_of_a_run_keeps_to_its_bounds(chains, workers):
    blocks = Counter(chains)
    found = price.wall_seconds(blocks, 0, workers, 2.0, 3.0)
    work = sum(map(sum, chains))
    assert found >= 5 + work / workers - 1e-9
    assert found >= price.longest_chain(blocks, 2.0, 3.0) - 1e-9
    # Graham 1966: a list schedule is at most the sum of both bounds.
    assert found <= price.longest_chain(blocks, 2.0, 3.0) + work / workers + 1e-9
    if workers == 1:
        assert found == pytest.approx(5 + work)
        assert found == pytest.approx(5 + shortest(chains, 1))


@given(CHAINS)
def test_jobs_on_gpus_leave_the_cpus_to_the_rest(chains):
    blocks = Counter(chains)
    many = price.wall_seconds(blocks, len(chains), len(chains), 0.0, 0.0)
    assert many == pytest.approx(price.longest_chain(blocks, 0.0, 0.0))


def test_more_of_anything_is_never_cheaper(study):
    pricer = price.pricer_of(study)
    job = jobs.expand(study)[-1]
    base = {verb: pricer.job(job, verb) for verb in ("train", "rays", "volume")}
    for keys in (
        {"seeds_per_job": 5},
        {"measure": {"volume": {"thresholds": [0.1, 0.2], "directions": 900}}},
        {"recipes": {"adam": STUDY["recipes"]["adam"] | {"epochs": 1000}}},
        {"models": ["mlp-128"]},
    ):
        larger = parse_study(STUDY | keys, "study")
        dearer = price.pricer_of(larger)
        for verb, (seconds, peak, written) in base.items():
            found = dearer.job(jobs.expand(larger)[-1], verb)
            assert found >= (seconds, 0, 0)
            assert found[1] >= peak
            assert found[2] >= written


def test_request_covers_the_price(study):
    pricer = price.pricer_of(study)
    for verb, job in [
        ("train", jobs.expand(study)[0]),
        ("cube", None),
        ("figure", None),
        ("explorer", None),
    ]:
        asked = pricer.request(verb, job)
        seconds, peak, _ = pricer.job(job, verb) if job else getattr(pricer, verb)()
        assert asked.mem_mb * 1e6 >= 1.3 * peak
        assert asked.minutes >= max(10, 3 * seconds / 60)
    gpu = price.pricer_of(study.model_copy(update={"device": "cuda"}))
    job = jobs.expand(study)[0]
    assert gpu.request("rays", job).mem_mb >= pricer.request("rays", job).mem_mb + 4000
    assert gpu.request("volume", job) == pricer.request("volume", job)


def test_estimates_are_priced_by_their_budget(study):
    def asking(**keys):
        volume = study.measure.volume.model_copy(update=keys)
        return study.model_copy(
            update={"measure": study.measure.model_copy(update={"volume": volume})}
        )

    names = ["rays", "importance", "annealed", "laplace"]
    small, large = (
        price.pricer_of(asking(estimators=names, max_evaluations=budget)) for budget in (1e6, 2e6)
    )
    job = jobs.expand(study)[0]
    start = small.cpu.start_seconds["estimate"]
    once, twice = (one.job(job, "estimate")[0] - start for one in (small, large))
    assert 1.5 * once < twice <= 2.01 * once
    rows = {rule.rule: rule for rule in table.plan(small.study).rules}
    assert rows["estimate"].num_jobs == rows["rays"].num_jobs
    assert rows["estimate"].seconds > 10 * rows["rays"].seconds
    assert "estimate" not in {rule.rule for rule in table.plan(study).rules}
    asked = small.request("estimate", job)
    assert asked.mem_mb * 1e6 >= 1.3 * small.job(job, "estimate")[1]
    # A Hessian is little beside a million losses.
    plain = price.pricer_of(asking(estimators=["rays", "laplace"]))
    assert 0 < plain.job(job, "estimate")[0] - start < once / 10


def animated(study, sizes):
    planes = study.measure.model_copy(update={"planes": PlaneMeasure(points=3)})
    return study.model_copy(update={"measure": planes, "landscape_sizes": sizes})


def test_an_animation_is_priced_by_its_landscapes(study):
    sizes = [20, 50, 100, 200]
    short, long = (price.pricer_of(animated(study, chosen)) for chosen in (sizes[2:], sizes))
    once, twice = short.animation(), long.animation()
    still = short.figure()
    for less, more, figure in zip(once, twice, still, strict=True):
        assert figure < less < more
    for part in range(2):
        assert twice[part] - still[part] == pytest.approx(2 * (once[part] - still[part]))
    asked = long.largest("animation")
    assert asked == long.request("animation")
    assert asked.mem_mb * 1e6 >= 1.3 * twice[1]
    rows = {rule.rule: rule for rule in table.plan(long.study).rules}
    assert rows["animation"].num_jobs == 1
    assert rows["animation"].seconds == pytest.approx(twice[0])
    # It is drawn beside the figures, and lasts longer.
    assert price.ends(list(rows.values()))[1] == pytest.approx(rows["cube"].longest + twice[0])
    for none in (study, animated(study.model_copy(update={"train_sizes": [200]}), [200])):
        assert "animation" not in {rule.rule for rule in table.plan(none).rules}


def test_array_asks_for_its_largest_job(study):
    pricer = price.pricer_of(study)
    for verb in ("train", "rays", "volume"):
        asked = [pricer.request(verb, job) for job in jobs.expand(study)]
        largest = pricer.largest(verb)
        assert largest.mem_mb == max(one.mem_mb for one in asked)
        assert largest.minutes == max(one.minutes for one in asked)
    assert pricer.largest("cube") == pricer.request("cube")


def test_plan_says_what_there_is_to_do(study):
    found = table.plan(study)
    assert {rule.rule: rule.num_jobs for rule in found.rules} == {
        "fetch": 1,
        "train": 10,
        "rays": 10,
        "volume": 10,
        "cube": 1,
        "figure": 7,
        "explorer": 1,
    }
    assert found.gpu_hours == 0
    assert found.cpu_hours == pytest.approx(sum(rule.seconds for rule in found.rules) / 3600)
    assert found.chain_seconds <= found.wall_seconds
    words = table.text(found, study.seeds_per_job)
    assert "not measured on this machine, `basins calibrate` does that" in words
    assert "seeds_per_job: 10 (now 2) would make jobs of up to" in words
    assert json.loads(json.dumps(table.as_json(found)))["study"] == "priced"


def test_finished_jobs_cost_nothing(tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run.folder)
    done = load_study("tests/studies/tiny.yaml")
    found = table.plan(done)
    assert sum(rule.seconds for rule in found.rules) == 0
    assert found.wall_seconds == 0
    assert table.text(found, 1) == "Study tiny: everything is done; a run would do nothing."


def test_changed_study_says_why(tiny_run, monkeypatch):
    monkeypatch.chdir(tiny_run.folder)
    study = load_study("tests/studies/tiny.yaml")
    volume = study.measure.volume.model_copy(update={"directions": 20})
    other = study.model_copy(
        update={"measure": study.measure.model_copy(update={"volume": volume})}
    )
    words = table.text(table.plan(other), 1)
    assert "rays: 4 jobs: measure.volume.directions: 12 -> 20" in words
    assert "train   " in words


def test_gpu_prices_are_used_where_they_are_and_unknown_where_not(study):
    other = study.model_copy(update={"device": "cuda"})
    found = table.plan(other)
    assert found.gpu_hours is None
    assert "GPU-hours unknown" in table.text(found, 2)
    assert "run `basins calibrate` on a GPU node" in table.text(found, 2)
    fields = vars(calibration.packaged()) | {"kind": "cuda", "device": "a GPU", "threads": 4}
    calibration.save(calibration.Calibration(**fields), jobs.calibration_file("a GPU", 4))
    found = table.plan(other, num_gpus=3)
    assert found.gpu_hours > 0
    words = table.text(found, 2)
    assert "3 GPUs" in words
    assert "rays (GPU)" in words
    assert "a GPU, 4 threads, while the study asks for 1" in words
    assert table.plan(other, num_gpus=6).wall_seconds <= found.wall_seconds


@pytest.mark.parametrize(("gpus", "cpus", "name"), [(0, None, "--gpus"), (None, -1, "--cpus")])
def test_impossible_numbers_of_workers_are_refused(study, gpus, cpus, name):
    with pytest.raises(ValueError, match=f"{name}: .* is not possible"):
        table.plan(study, gpus, cpus)


def test_plan_for_a_gpu_by_its_calibration_alone_needs_a_cpu_too(study, monkeypatch):
    monkeypatch.setattr(calibration, "find", lambda *_: (None, "none"))
    with pytest.raises(ValueError, match="there is no calibration of a CPU"):
        table.plan(study)


def test_fifty_thousand_jobs_are_planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = parse_study(
        STUDY | {"seeds": 10_000, "seeds_per_job": 1, "train_sizes": [10, 20, 40, 60, 80]}, "large"
    )
    found = table.plan(study, num_cpus=100)
    assert {rule.rule: rule.num_jobs for rule in found.rules}["rays"] == 50_000
    assert found.wall_seconds >= found.chain_seconds


def test_verbs_print_the_plan_and_keep_a_calibration(study, tmp_path, capsys):
    save_study(study, tmp_path / "study.yaml")
    verbs.plan(tmp_path / "study.yaml")
    assert "Study priced: what is left to do" in capsys.readouterr().out
    verbs.plan(tmp_path / "study.yaml", as_json=True)
    assert json.loads(capsys.readouterr().out)["num_gpus"] == 0
    measured = vars(calibration.packaged())
    monkey = calibration.Calibration(**measured)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("basins.plan.calibrate.calibrate", lambda *_: monkey)
        verbs.calibrate("cpu", 1, 5.0)
    assert calibration.load(jobs.calibration_file(monkey.device, 1)) == monkey


def test_best_block_of_seeds_is_the_largest_under_five_minutes(study):
    pricer = price.pricer_of(study)
    assert price.seeds_per_job(pricer)[0] == 10
    assert price.seeds_per_job(pricer, minutes=1e-6)[0] == 1


def test_remaining_may_be_given(study):
    nothing = Remaining({"train": {}, "rays": {}, "volume": {}}, [], True, [], True, True)
    assert table.plan(study, left=nothing).wall_seconds == 0
    assert table.plan(study, left=remaining(study)).wall_seconds > 0
