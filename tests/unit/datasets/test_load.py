"""Data sets: shapes, known facts of the real ones, a sentence for whatever is malformed."""

import re
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basins import streams
from basins.datasets import images
from basins.datasets.circles import GAPS, THICKNESS, thin_rings
from basins.datasets.images import download
from basins.datasets.load import check_receipt, load, receipt
from basins.datasets.swiss_roll import spirals
from basins.study.resolve import dataset_entry
from basins.study.schema import StudyError

MADE = [
    "digits",
    "swiss-roll",
    "circles",
    "circles-0.2",
    "circles-0.001",
    "modular-addition",
    "modular-addition-held-out",
]


@pytest.mark.parametrize("name", MADE)
def test_made_data_sets_are_as_studies_expect(name):
    data = load(name)
    entry = dataset_entry(name)
    assert data.name == name
    assert data.input_shape == entry.input_shape
    assert len(data.test_targets) == entry.num_test
    assert len(data.targets) == entry.num_train
    assert data.num_classes == entry.num_classes == len(np.unique(data.targets))
    assert data.inputs.dtype == np.float32
    assert receipt(load(name)) == receipt(data)


def test_threes_and_eights_are_those_of_the_digits():
    pair, whole = load("digits-3-8"), load("digits")
    for part in ("", "test_"):
        targets = getattr(whole, f"{part}targets")
        for label, digit in ((0, 3), (1, 8)):
            own = getattr(pair, f"{part}inputs")[getattr(pair, f"{part}targets") == label]
            np.testing.assert_array_equal(own, getattr(whole, f"{part}inputs")[targets == digit])
    assert len(pair.targets) + len(pair.test_targets) == 357
    assert pair.num_classes == 2


def test_digits_are_standardised_and_all_there():
    data = load("digits")
    assert len(data.targets) + len(data.test_targets) == 1797
    assert data.inputs.mean() == pytest.approx(0, abs=1e-5)
    assert data.inputs.std() == pytest.approx(1, abs=1e-5)


def test_modular_addition_is_the_table():
    data = load("modular-addition")
    first, second = data.inputs[:, :97].argmax(1), data.inputs[:, 97:].argmax(1)
    assert (data.targets == (first + second) % 97).all()
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == 9409


def test_what_is_held_out_of_the_table_is_never_trained_on():
    data = load("modular-addition-held-out")
    pairs = []
    for inputs, targets in ((data.inputs, data.targets), (data.test_inputs, data.test_targets)):
        first, second = inputs[:, :97].argmax(1), inputs[:, 97:].argmax(1)
        assert (targets == (first + second) % 97).all()
        pairs.append(set(zip(first.tolist(), second.tolist(), strict=True)))
    assert not pairs[0] & pairs[1]
    assert len(pairs[0] | pairs[1]) == 9409


def test_spirals_are_half_a_turn_apart_and_noise_is_as_stated():
    points, targets = spirals("law", 20_000)
    points = np.where(targets[:, None] == 1, -points, points)
    angle = np.arctan2(points[:, 1], points[:, 0])
    radius = np.hypot(*points.T)
    # Off the spiral r = angle (modulo a turn) by the noise: sd 0.3 across, checked to 5 %.
    off = (radius - angle + np.pi) % (2 * np.pi) - np.pi
    far = radius > 6
    slope = np.sqrt(1 + 1 / radius[far] ** 2)
    assert (off[far] / slope).std() == pytest.approx(0.3, rel=0.05)


def test_circles_keep_their_margin():
    data = load("circles")
    radius = np.hypot(*data.inputs.T)
    edges = np.sort(radius)
    assert edges[-1] <= 1
    assert (np.diff(edges) > 0.099).sum() == 3


def test_circles_without_a_margin_in_their_name_stay_what_they_are():
    uniform = streams.uniforms("circles", "train", count=4000)
    ring = np.arange(2000) % 4
    radius = 0.275 * ring + 0.175 * uniform[:2000]
    angle = 2 * np.pi * uniform[2000:]
    data = load("circles")
    expected = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(data.inputs, expected, atol=1e-6)
    assert (data.targets == ring % 2).all()


@given(st.floats(0.001, 0.2), st.sampled_from(["train", "test"]))
def test_thin_rings_stand_at_both_edges_of_every_gap(margin, part):
    points, classes = thin_rings(part, 600, margin)
    radius = np.hypot(*points.T)
    assert radius.max() < 1
    nearest = np.abs(radius[:, None] - GAPS)
    off = nearest.min(axis=1) / margin
    assert off.min() >= 1 / 2 - 1e-9
    assert off.max() <= 1 / 2 + THICKNESS + 1e-9
    # Six rings by turns, of a hundred points each.
    places = radius > np.array(GAPS)[nearest.argmin(axis=1)]
    assert np.bincount(2 * nearest.argmin(axis=1) + places).tolist() == [100] * 6
    # Whatever the margin, the class of a point of the plane is the same.
    assert (classes == (radius[:, None] > GAPS).sum(axis=1) % 2).all()


def test_margins_change_nothing_but_the_scale_about_boundaries():
    wide, narrow = (thin_rings("train", 60, margin)[0] for margin in (0.1, 0.002))
    angles = [np.arctan2(*points.T) for points in (wide, narrow)]
    np.testing.assert_allclose(*angles, atol=1e-12)
    middles = np.array(GAPS)[np.arange(60) % 6 // 2]
    offsets = [np.hypot(*points.T) - middles for points in (wide, narrow)]
    np.testing.assert_allclose(offsets[0], 50 * offsets[1], rtol=1e-9)


def test_rings_keep_their_gap_in_single_precision():
    """The least margin allowed is far above what a float32 is rounded by."""
    data = load("circles-0.001")
    radius = np.hypot(*data.test_inputs.astype(np.float64).T)
    off = np.abs(radius[:, None] - GAPS).min(axis=1)
    assert off.min() > 0.001 * (1 / 2 - 1e-3)
    assert ((radius[:, None] > GAPS).sum(axis=1) % 2 == data.test_targets).all()


BAD_MARGINS = ["0.0009", "0.201", "0", "1", "0.10", ".1", "-0.1", "1e-2", "nan", "x", "", "0.0"]


@pytest.mark.parametrize("margin", BAD_MARGINS)
def test_impossible_margin_is_one_sentence(margin):
    words = f"datasets: 'circles-{margin}' cannot be made; its margin must be a decimal from 0.001 "
    with pytest.raises(StudyError, match=f"^{re.escape(words)}"):
        load(f"circles-{margin}")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("mnist", (1, 28, 28), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("cifar10", (3, 32, 32), [5000] * 10),
    ],
)
def test_real_images_are_the_official_ones(data_root, name, shape, counts):
    data = load(name, data_root)
    assert data.input_shape == shape
    assert np.bincount(data.targets).tolist() == counts
    assert len(data.test_targets) == 10_000
    assert data.inputs.mean(axis=(0, 2, 3)) == pytest.approx(0, abs=2e-3)
    assert data.inputs.std(axis=(0, 2, 3)) == pytest.approx(1, abs=2e-3)


@pytest.fixture
def no_network(monkeypatch):
    """Refuse every look-up of a host, and count them."""
    asked = []

    def refuse(*arguments, **_options):
        asked.append(arguments[0])
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def test_missing_images_name_the_expected_path(tmp_path, no_network):
    with pytest.raises(
        ValueError, match=rf"could not be downloaded .* at {tmp_path}/MNIST, or set"
    ):
        download("mnist", tmp_path)
    assert no_network
    with pytest.raises(ValueError, match=r"put them at .*/train_32x32.mat, .*/test_32x32.mat"):
        download("svhn", tmp_path)


def test_jobs_never_ask_the_network(tmp_path, no_network):
    for name in images.SETS:
        with pytest.raises(ValueError, match=f"data set {name}: its files are damaged or missing"):
            load(name, tmp_path)
    assert not no_network


def test_images_that_are_there_are_not_downloaded(data_root, no_network):
    download("mnist", data_root)
    assert not no_network


GOOD = (np.ones((4, 2)), np.array([0, 1, 0, 1]), np.ones((2, 2)), np.array([0, 1]))
BAD = [
    ("three", GOOD[:3], "must return a Data or four arrays"),
    ("floats", (GOOD[0], GOOD[1] * 1.0, *GOOD[2:]), "targets must be one-dimensional whole"),
    ("lengths", (GOOD[0][:3], *GOOD[1:]), "inputs has 3 inputs and 4 targets"),
    ("shapes", (*GOOD[:2], np.ones((2, 3)), GOOD[3]), r"test inputs have shape \(3,\)"),
    ("nan", (GOOD[0] * np.nan, *GOOD[1:]), "inputs inputs hold NaN or infinity"),
    ("negative", (GOOD[0], GOOD[1] - 1, *GOOD[2:]), r"inputs targets must lie in 0\.\.0"),
]


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """Return a function that makes a user's module and returns the data set's name."""

    def make(name, arrays):
        np.savez(tmp_path / f"{name}.npz", *arrays)
        (tmp_path / f"own_{name}.py").write_text(
            "import numpy as np\n"
            f"def load():\n    with np.load({str(tmp_path / name)!r} + '.npz') as f:\n"
            "        return tuple(f[k] for k in f)\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        return f"own_{name}:load"

    return make


def test_own_data_set_is_taken_as_it_is(own_data):
    data = load(own_data("good", GOOD))
    assert data.num_classes == 2
    assert data.input_normalization == "as given"


@pytest.mark.parametrize(("name", "arrays", "words"), BAD, ids=[case[0] for case in BAD])
def test_malformed_own_data_set_is_one_sentence(own_data, name, arrays, words):
    with pytest.raises(ValueError, match=words):
        load(own_data(name, arrays))


def test_receipts_notice_other_data(tmp_path):
    import json

    path = tmp_path / "digits.json"
    path.write_text(json.dumps(receipt(load("digits"))))
    check_receipt(load("digits"), path)
    with pytest.raises(ValueError, match="data set circles has changed since this receipt"):
        check_receipt(load("circles"), path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not a readable receipt"):
        check_receipt(load("digits"), path)
