"""Subsets: permutations, nested by construction, balanced when asked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from basins.datasets.subsets import order

TARGETS = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array)


@given(TARGETS, st.integers(0, 1000), st.booleans())
def test_order_holds_each_example_once(targets, seed, class_balanced):
    assert sorted(order("toy", targets, seed, class_balanced)) == list(range(len(targets)))


@given(TARGETS, st.integers(0, 1000))
def test_balanced_prefixes_hold_classes_as_evenly_as_they_allow(targets, seed):
    chosen = order("toy", targets, seed, class_balanced=True)
    classes, available = np.unique(targets, return_counts=True)
    for size in range(1, len(targets) + 1):
        counts = np.array([(targets[chosen[:size]] == c).sum() for c in classes])
        # A class behind the fullest by more than one has run out.
        assert ((counts >= counts.max() - 1) | (counts == available)).all()


def test_seeds_and_names_give_different_orders():
    targets = np.zeros(100, dtype=np.int64)
    orders = {tuple(order(name, targets, seed)) for name in "ab" for seed in range(3)}
    assert len(orders) == 6
