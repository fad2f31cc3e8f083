"""Differences of minima, and the classes that they join, against plain loops."""

import numpy as np
import pytest

from basins.landscape.sameness import disagreements, joined_classes


def walked_classes(differences, largest):
    """Return classes by walking from every minimum not yet reached: slow and plain."""
    found = [0] * len(differences)
    for start in range(len(differences)):
        if found[start]:
            continue
        label, todo = max(found) + 1, [start]
        while todo:
            here = todo.pop()
            if not found[here]:
                found[here] = label
                todo += [j for j in range(len(differences)) if differences[here, j] <= largest]
    return found


@pytest.mark.parametrize("largest", [0.0, 0.1, 0.3, 0.9])
def test_classes_are_what_chains_reach(largest, seed):
    random = np.random.default_rng(seed)
    for count in (1, 2, 12):
        upper = np.triu(random.uniform(size=(count, count)), 1)
        upper[random.uniform(size=upper.shape) < 0.1] = np.inf
        differences = np.triu(upper, 1) + np.triu(upper, 1).T
        expected = walked_classes(differences, largest)
        assert joined_classes(differences, largest).tolist() == expected


def test_missing_differences_join_nothing():
    differences = np.full((3, 3), np.nan)
    assert joined_classes(differences, 1.0).tolist() == [1, 2, 3]


def test_disagreement_counts_examples(seed):
    random = np.random.default_rng(seed)
    predictions = random.integers(3, size=(5, 40))
    found = disagreements(predictions)
    for i in range(5):
        for j in range(5):
            count = sum(a != b for a, b in zip(predictions[i], predictions[j], strict=True))
            assert found[i, j] == count / 40
