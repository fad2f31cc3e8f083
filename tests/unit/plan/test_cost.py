"""Counts against closed forms, torch's own counter, and what real runs did."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from basins.datasets.load import load
from basins.models.functional import build
from basins.models.passes import Activations
from basins.plan import cost, memory, networks
from basins.study import jobs
from basins.study.load import parse_study
from basins.study.resolve import DATASETS, dataset_entry

STUDY = {
    "study": "counted",
    "datasets": ["digits"],
    "models": ["mlp-16"],
    "train_sizes": [20, 200],
    "seeds": 2,
    "recipes": {"adam": {"optimizer": "adam", "learning_rate": 0.01, "epochs": 100}},
    "measure": {"volume": {"thresholds": [0.1]}},
}


@pytest.mark.parametrize("name", [*DATASETS, "circles-0.05"])
def test_known_sizes_are_those_of_the_data(name, request):
    root = None
    if dataset_entry(name).target.startswith("basins.datasets.images"):
        root = request.getfixturevalue("data_root")
        if name in {"fashion-mnist", "svhn"}:
            pytest.skip(f"{name} is not among the real data sets here")
    data = load(name, root)
    facts = networks.data_facts(name)
    assert facts.input_shape == data.input_shape
    assert (facts.num_train, facts.num_test) == (len(data.targets), len(data.test_targets))
    assert facts.num_bytes == data.inputs.nbytes + data.test_inputs.nbytes


def test_sizes_of_an_own_data_set_come_from_loading_it(tmp_path, monkeypatch):
    (tmp_path / "own_sizes.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    return np.ones((5, 3)), np.arange(5) % 2, np.ones((2, 3)), np.zeros(2, int)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert networks.data_facts("own_sizes:load") == networks.DataFacts(5, 2, 2, (3,))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 30), st.integers(2, 9))
def test_fully_connected_operations_in_closed_form(widths, inputs, outputs):
    name = "mlp-" + "-".join(map(str, widths))
    found = networks.module_cost(build(name, (inputs,), outputs, 0), (inputs,))
    layers = [inputs, *widths, outputs]
    pairs = list(itertools.pairwise(layers))
    assert found.linear == sum(a * b for a, b in pairs)
    assert found.convolution == 0
    assert found.num_parameters == sum(a * b + b for a, b in pairs)
    assert found.held.widest == max(layers[1:])


@pytest.mark.parametrize("name", ["cnn-small", "cnn-large", "resnet-8", "resnet-14-noskip"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_operations_are_those_that_torch_counts(name, shape):
    module = build(name, shape, 10, 0)
    found = networks.module_cost(module, shape)
    with FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *shape))
    # Torch counts a multiply-add as two.
    assert 2 * (found.linear + found.convolution) == counter.get_total_flops()


@given(
    st.integers(1, 5),
    st.integers(1, 300),
    st.integers(1, 50),
    st.integers(1, 20),
    st.integers(1, 99),
)
def test_training_costs_more_the_more_there_is(seeds, size, tests, epochs, steps):
    network = networks.NetworkCost(100, 3, 80, 20, 30, Activations(10, 20, 20, 40))
    base = cost.train_counts(network, seeds, size, tests, epochs, steps)
    assert (base >= 0).all()
    for more in (
        cost.train_counts(network, seeds + 1, size, tests, epochs, steps),
        cost.train_counts(network, seeds, size + 1, tests, epochs, steps),
        cost.train_counts(network, seeds, size, tests, epochs + 1, steps),
    ):
        assert (more >= base).all()
    # One stacked step serves all seeds.
    assert base[0] == steps * network.num_layers


def test_evaluations_of_small_landscapes_include_those_of_large_ones():
    assert cost.evaluations(3, 2, (5.0, 3.0)).tolist() == [23, 17, 11]


def test_rays_cost_what_their_evaluations_hold():
    network = networks.NetworkCost(100, 3, 80, 20, 30, Activations(10, 20, 20, 40))
    row = cost.rays_counts(network, 10, [20, 60], np.array([7.0, 4.0]), 2)
    passes = 2 * 10 * (7 * 20 + 4 * 40)
    assert row[3:].tolist() == [passes * 80, passes * 20, passes * 30]
    assert row[:3].tolist() == [7 * 3, 2 * 10 * 7 * 100, 2 * 10 * 100]


def test_a_first_layer_is_multiplied_once_a_ray():
    network = networks.module_cost(build("mlp-5", (4,), 3, 0), (4,))
    assert network.first == networks.FirstLayer(5, 5 * 5, 4 * 5, 0)
    assert network.is_compiled
    row = cost.rays_counts(network, 10, [20, 60], np.array([7.0, 4.0]), 2)
    passes = 2 * 10 * (7 * 20 + 4 * 40)
    assert row[3] == passes * 5 * 3 + 2 * 10 * 60 * 4 * 5
    assert row[1] == 2 * 10 * 7 * (5 * 3 + 3)
    # A ray's sums are 5 numbers an example.
    assert network.rays_together(10**7) == 1
    assert network.rays_together(10**5) == 64


def test_a_convolutional_first_layer_is_kept_while_it_fits():
    small = networks.module_cost(build("cnn-small", (1, 28, 28), 3, 0), (1, 28, 28))
    assert small.first is None
    patches = nn.Sequential(nn.Conv2d(3, 64, 8, stride=8), nn.Flatten(), nn.Linear(1024, 3))
    network = networks.module_cost(patches, (3, 32, 32))
    outputs, each = 64 * 4 * 4, 8 * 8 * 3
    assert network.first == networks.FirstLayer(outputs, 64 * (each + 1), 0, each * outputs)
    assert not network.is_compiled
    assert network.kept(10_000) == network.first
    assert network.kept(20_000) == networks.NO_LAYER
    row = cost.rays_counts(network, 10, [600], np.array([7.0]), 1)
    assert row[4] == 10 * 600 * each * outputs


def test_minima_are_expected_inside_the_landscapes_they_were_trained_in():
    study = parse_study(STUDY, "study")
    first, last = jobs.expand(study)[0], jobs.expand(study)[-1]
    assert cost.inside_landscapes(study, first) == [20]
    assert cost.inside_landscapes(study, last) == [20, 200]
    expected = cost.counts(study, first, "rays", (5.0, 3.0))
    worst = cost.counts(study, first, "rays", (5.0, 3.0), at_worst=True)
    assert (worst >= expected).all()
    assert (worst == cost.counts(study, last, "rays", (5.0, 3.0))).all()
    volume = {"thresholds": [0.1], "threshold_kind": "excess"}
    excess = parse_study(STUDY | {"measure": {"volume": volume}}, "study")
    assert cost.inside_landscapes(excess, first) == [20, 200]


def test_minimum_outside_every_landscape_costs_nothing():
    network = networks.NetworkCost(100, 3, 80, 20, 30, Activations(10, 20, 20, 40))
    row = cost.rays_counts(network, 10, [], cost.evaluations(0, 1, (5.0, 3.0)), 2)
    assert row[[0, 1, 3, 4, 5]].tolist() == [0] * 5


def test_training_is_counted_by_the_recipes_it_goes_through():
    """Steps of every phase and stage; augmented pixels beside the activations."""
    small = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 9, "batch_size": 20}
    grows = {"schedule": "growing_batch", "milestones": [0.5], "decay_factor": 0.25}
    recipes = {
        "small": small | {"augmentation": {"shift": 1}},
        "grows": small | grows | {"epochs": 10},
        "warm": small | {"batch_size": "full", "warm_start": {"recipe": "small", "epochs": 3}},
    }
    study = parse_study(STUDY | {"recipes": recipes, "train_sizes": [200]}, "study")
    rows = {}
    for job in jobs.expand(study):
        network, _ = networks.job_network(study, job)
        row = cost.counts(study, job, "train", (5.0, 3.0))
        steps = {"small": 9 * 10, "grows": 5 * 10 + 5 * 3, "warm": 3 * 10 + 9}[job.recipe]
        assert row[0] == steps * network.num_layers
        epochs = {"small": 9, "grows": 10, "warm": 12}[job.recipe]
        rows[job.recipe] = row - cost.train_counts(network, 2, 200, 360, epochs, steps)
    pixels = 2 * 200 * 64
    assert rows["small"].tolist() == [0, 0, 0, 0, cost.AUGMENTED * 9 * pixels]
    assert rows["grows"].tolist() == [0] * 5
    assert rows["warm"].tolist() == [0, 0, 0, 0, cost.AUGMENTED * 3 * pixels]


def test_training_holds_the_largest_batch_and_augmented_examples():
    recipe = STUDY["recipes"]["adam"] | {"batch_size": 20}
    grows = {"schedule": "growing_batch", "milestones": [0.5], "decay_factor": 0.1}

    def held(more):
        study = parse_study(
            STUDY | {"recipes": {"one": recipe | more}, "train_sizes": [200]}, "study"
        )
        return memory.peak_bytes(study, jobs.expand(study)[0], "train")

    assert held(grows) == held({"batch_size": 200}) > held({})
    assert held({"augmentation": {"flip": True}}) == held({}) + 2 * 200 * 64 * 4


def test_training_holds_its_examples_and_no_more_than_one_run_of_them():
    def held(size, model):
        recipes = {"one": STUDY["recipes"]["adam"] | {"batch_size": "full"}}
        keys = {"datasets": ["mnist"], "models": [model], "train_sizes": [size]}
        study = parse_study(STUDY | {"recipes": recipes} | keys, "study")
        return memory.peak_bytes(study, jobs.expand(study)[0], "train")

    # Of both seeds; compiled networks have their batch once more.
    examples = 2 * 30_000 * 784 * 4
    assert held(60_000, "cnn-small") - held(30_000, "cnn-small") == examples
    assert held(60_000, "mlp-64") - held(30_000, "mlp-64") == 2 * examples


def test_the_gradient_at_the_end_of_small_batches_is_held_too(monkeypatch):
    def held(room, **keys):
        monkeypatch.setattr("basins.plan.memory.GRADIENT_PASS_BYTES", room)
        recipes = {"one": STUDY["recipes"]["adam"] | {"batch_size": 2} | keys}
        given = {"datasets": ["mnist"], "models": ["mlp-2"], "train_sizes": [6000]}
        study = parse_study(STUDY | {"recipes": recipes} | given, "study")
        return memory.peak_bytes(study, jobs.expand(study)[0], "train")

    examples = 2 * 6000 * 784 * 4
    assert held(2 * examples) - held(examples) == examples
    assert held(2**40) == held(2 * examples)
    # Polishing holds all examples once more in double precision, and compiled code does so, too.
    polished = {"polish": {"gradient_norm": 1.0}}
    assert held(0, **polished) - held(0) > 4 * examples
