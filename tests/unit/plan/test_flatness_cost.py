"""What measures of flatness are counted to ask for against what a real survey asks."""

from collections import Counter

import numpy as np
import pytest
import torch

from basins.flatness import keskar2017sharpness, lanczos, robustness
from basins.flatness.of_minima import FULL_SPECTRUM, Surveyed, measure_minima
from basins.models.functional import Network, build
from basins.plan import cost, networks
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.study import jobs
from basins.study.load import parse_study
from basins.verbs.surveying import request_of

SIZES = [10, 30]
SURVEYS = [
    ["sharpness"],
    ["spectrum"],
    ["gauss_newton", "evidence"],
    ["sharpness", "spectrum", "gauss_newton", "evidence"],
]
# Weights of a loss, a gradient, a product.
PRICES = {"losses": 1, "gradients": 2, "products_of": 4}


def study_of(measures, model="mlp-8"):
    return parse_study(
        {
            "study": "asked",
            "datasets": ["digits"],
            "models": [model],
            "train_sizes": SIZES,
            "seeds": 3,
            "seeds_per_job": 3,
            "recipes": {"adam": {"optimizer": "adam", "learning_rate": 0.01, "epochs": 2}},
            "measure": {
                "volume": {"thresholds": [0.1]},
                "flatness": measures,
                "flatness_options": {
                    "subspace": 5,
                    "num_probes": 3,
                    "num_steps": 7,
                    "num_products": 12,
                    "box_sizes": [1e-3, 2e-3],
                    "num_eigenvalues": 2,
                },
            },
        },
        "test",
    )


@pytest.fixture
def asked(monkeypatch):
    """Count points, those of L-BFGS-B and those of the ends of spectra, as a survey goes on."""
    found = Counter()

    def watch(name, real):
        def asking(self, rows, *more, **options):
            found["points"] += PRICES[name] * len(rows)
            return real(self, rows, *more, **options)

        return asking

    for name in PRICES:
        monkeypatch.setattr(NumbaEvaluator, name, watch(name, getattr(NumbaEvaluator, name)))
    extremes, minimize = lanczos.extremes, keskar2017sharpness.minimize

    def ends(*given):
        result = extremes(*given)
        found["lanczos"] += int(result.num_products.sum())
        found["matrices"] += len(result.num_products)
        return result

    def by_lbfgsb(*given, **options):
        result = minimize(*given, **options)
        found["lbfgsb"] += 3 * result.nfev
        found["boxes"] += 1
        return result

    monkeypatch.setattr(lanczos, "extremes", ends)
    monkeypatch.setattr(keskar2017sharpness, "minimize", by_lbfgsb)
    return found


@pytest.mark.parametrize("measures", SURVEYS, ids="+".join)
@pytest.mark.parametrize("width", [8, 80], ids=["whole spectra", "seen by vectors"])
def test_points_are_those_that_a_survey_asks_for(measures, width, asked, seed):
    random = np.random.default_rng(seed)
    network = Network(build(f"mlp-{width}", (12,), 10, 0))
    n = network.num_parameters
    assert (n <= FULL_SPECTRUM) == (width == 8)
    inputs = torch.from_numpy(random.normal(size=(SIZES[-1], 12)).astype(np.float32))
    targets = torch.from_numpy(random.integers(0, 10, SIZES[-1]))
    examples = Landscapes(inputs, targets, tuple(SIZES), "cross_entropy")
    minima = [
        Surveyed((seed, k), torch.from_numpy(random.normal(size=n) / 4).float(), examples, 10)
        for k in range(2)
    ]
    study = study_of(measures)
    measure_minima(network, minima, request_of(study))
    in_each, tested = cost.survey_asked(study, n)
    # Two numbers are guessed: what L-BFGS-B and the ends of spectra take until they are done.
    guessed = cost.LBFGSB_LOSSES * 10 * asked["boxes"]
    guessed += 4 * min(n, cost.LANCZOS_STEPS) * asked["matrices"]
    sure = asked["points"] - asked["lbfgsb"] - 4 * asked["lanczos"]
    cells = len(minima) * len(SIZES)
    assert cells * in_each.points == sure + guessed
    assert asked["lbfgsb"] <= 2 * cost.LBFGSB_LOSSES * 10 * asked["boxes"]
    assert asked["lanczos"] <= 2 * cost.LANCZOS_STEPS * asked["matrices"]
    # Of the test loss there is the curvature alone.
    asked.clear()
    curvatures = [name for name in measures if name in ("spectrum", "gauss_newton")]
    if curvatures:
        measure_minima(network, minima, request_of(study_of(curvatures)))
        guessed = 4 * min(n, cost.LANCZOS_STEPS) * asked["matrices"]
        assert cells * tested.points == asked["points"] - 4 * asked["lanczos"] + guessed
    else:
        assert tested == cost.Asked(0.0, 0.0)


def test_dense_operations_are_those_of_whole_spectra_and_of_bases():
    whole, _ = cost.survey_asked(study_of(["evidence"]), 100)
    assert whole.operations == 100**3
    seen, _ = cost.survey_asked(study_of(["evidence"]), 2000)
    # Three vectors, seven steps; each basis is read four times, half of it on average.
    assert seen.operations == cost.VECTOR_OPERATIONS * 3 * (4 * 2000 * 7**2 / 2)
    nothing, tested = cost.survey_asked(study_of(["sharpness"]), 2000)
    assert nothing.operations == tested.operations == 0


def test_a_job_counts_every_landscape_and_the_test_set():
    study = study_of(["spectrum"], model="mlp-32")
    job = jobs.expand(study)[0]
    network, facts = networks.job_network(study, job)
    counted = dict(zip(cost.ESTIMATE, cost.counts(study, job, "flatness", (5.0, 3.0)), strict=True))
    in_each, tested = cost.survey_asked(study, network.num_parameters)
    assert in_each == tested
    assert counted["points"] == 3 * (2 * in_each.points + tested.points)
    examples = 3 * in_each.points * (sum(SIZES) + facts.num_test)
    assert counted["linear_operations"] == examples * network.linear
    assert counted["shape_operations"] == 3 * 3 * in_each.operations


def test_attacks_ask_for_what_is_counted_where_no_example_falls(monkeypatch, seed):
    """A network of zeros with a bias: the first class always, which every target is."""
    asked = Counter()
    for name, price in (("climb", cost.GRADIENT), ("is_correct", 1)):
        real = getattr(robustness._Part, name)

        def counted(part, points, targets, real=real, price=price):
            asked["points"] += price * len(points)
            return real(part, points, targets)

        monkeypatch.setattr(robustness._Part, name, counted)
    network = Network(build("linear", (4,), 3, seed))
    theta = torch.zeros(network.num_parameters)
    theta[-3] = 1.0
    examples = robustness.Examples(torch.randn(7, 4), torch.zeros(7).long(), "cross_entropy")
    perturbations = [0.1, 0.2, 0.3]
    robustness.fgsm_accuracy(network, theta, examples, perturbations)
    robustness.pgd_accuracy(network, theta, examples, perturbations, "test", seed)
    study = study_of(["robustness"])
    assert study.measure.flatness_options.perturbations == [0.01, 0.03, 0.1]
    in_each, tested = cost.survey_asked(study, 100)
    assert asked["points"] == 7 * tested.points
    assert in_each == cost.Asked(0.0, 0.0)
    in_each, tested = cost.survey_asked(study_of(["margins"]), 100)
    assert len(SIZES) * in_each.points == 1
    assert tested == cost.Asked(0.0, 0.0)
