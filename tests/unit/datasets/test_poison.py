"""Labels that mislead: as many as asked, never the right one, nested, and the same again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from basins.datasets.poison import imbalanced, noisy_labels, random_labels, wrong_labels

KEYS = st.integers(0, 2**31)


@given(key=KEYS, classes=st.integers(2, 12), count=st.integers(1, 50))
def test_wrong_labels_are_labels_and_wrong(key, classes, count):
    targets = np.random.default_rng(key).integers(classes, size=count)
    found = wrong_labels(targets, key, num_classes=classes)
    assert ((found >= 0) & (found < classes) & (found != targets)).all()
    np.testing.assert_array_equal(found, wrong_labels(targets, key, num_classes=classes))
    # A growing set keeps what it has.
    np.testing.assert_array_equal(
        found[: count // 2], wrong_labels(targets[: count // 2], key, num_classes=classes)
    )


def test_every_other_class_is_as_likely(seed):
    """False alarms: one in a million; a class left out among four would be seen for sure."""
    wrong = wrong_labels(np.full(4000, 2), seed, num_classes=5)
    assert chisquare(np.bincount(wrong, minlength=5)[[0, 1, 3, 4]]).pvalue > 5e-7
    assert (
        chisquare(
            np.bincount(random_labels(np.zeros(4000, int), seed, num_classes=5), minlength=5)
        ).pvalue
        > 5e-7
    )


@given(key=KEYS, share=st.floats(0, 1), more=st.floats(0, 1))
def test_noise_is_a_share_and_a_larger_share_has_it_all(key, share, more):
    targets = np.random.default_rng(key).integers(3, size=40)
    found = noisy_labels(targets, key, share=share, num_classes=3)
    is_wrong = found != targets
    assert is_wrong.sum() == round(share * 40)
    larger = noisy_labels(targets, key, share=max(share, more), num_classes=3)
    np.testing.assert_array_equal(larger[is_wrong], found[is_wrong])


@given(key=KEYS, rarest=st.floats(0.01, 1), classes=st.integers(2, 6))
def test_classes_get_rarer_geometrically(key, rarest, classes):
    targets = np.random.default_rng(key).integers(classes, size=300)
    stays = imbalanced(targets, rarest, classes)
    for index in range(classes):
        of_class = stays[targets == index]
        share = rarest ** (index / (classes - 1))
        assert of_class.sum() == max(1, round(share * len(of_class)))
        # The first ones stay, so that subsets stay nested.
        assert of_class[: of_class.sum()].all()
