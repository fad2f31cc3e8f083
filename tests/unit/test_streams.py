"""Streams: Philox against its published definition, addressing, and the laws of the draws."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from basins import streams

MASK = (1 << 64) - 1
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def philox_words(key, count):
    """Philox 4x64-10 in plain integers (Salmon et al. 2011, section 3.3); NumPy counts from 1."""
    words = []
    counter = 1
    while len(words) < count:
        state = [(counter >> (64 * i)) & MASK for i in range(4)]
        round_key = [key & MASK, key >> 64]
        for _ in range(10):
            first, second = MULTIPLIERS[0] * state[0], MULTIPLIERS[1] * state[2]
            state = [
                (second >> 64) ^ state[1] ^ round_key[0],
                second & MASK,
                (first >> 64) ^ state[3] ^ round_key[1],
                first & MASK,
            ]
            round_key = [(k + w) & MASK for k, w in zip(round_key, WEYL, strict=True)]
        words += state
        counter += 1
    return words[:count]


def test_words_are_philox(seed):
    assert streams.bits("a", seed, count=23).tolist() == philox_words(streams.key("a", seed), 23)


@given(start=st.integers(0, 50), count=st.integers(1, 50))
def test_any_part_of_a_stream_can_be_drawn_alone(start, count):
    whole = streams.normals("part", count=100)
    assert streams.normals("part", count=count, start=start).tolist() == (
        whole[start : start + count].tolist()
    )


@given(st.lists(st.one_of(st.integers(), st.text()), min_size=1, max_size=3))
def test_permutation_holds_each_number_once(names):
    assert sorted(streams.permutation(*names, size=37).tolist()) == list(range(37))


def test_names_and_their_types_make_different_streams():
    keys = {
        streams.key(*names) for names in [("a", 1), ("a", "1"), ("a1",), ("a", 1, ""), (1, "a")]
    }
    assert len(keys) == 5


def test_normals_are_normal(seed):
    # Kolmogorov-Smirnov at a false-alarm rate of 1e-6; a shift of 0.02 would be caught.
    draws = streams.normals("law", seed, count=200_000)
    assert scipy.stats.kstest(draws, "norm").pvalue > 1e-6
    assert np.isfinite(draws).all()


def test_uniforms_stay_inside_the_open_interval(seed):
    draws = streams.uniforms("open", seed, count=100_000)
    assert draws.min() > 0
    assert draws.max() < 1
    assert draws.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / 100_000) ** 0.5)
