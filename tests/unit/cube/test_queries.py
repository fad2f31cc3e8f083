"""Spectral densities: a law of their integral, closed forms, and arguments that are refused."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from basins.cube.queries import eigenvalue_fraction, spectral_density
from basins.cube.read import open_group

EIGENVALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


def made(*each, prefix=""):
    """A spectrum of several minima, each with its eigenvalues at equal weights."""
    longest = max(len(values) for values in each)
    nodes, weights = np.full((2, len(each), longest), np.nan)
    for row, values in enumerate(each):
        nodes[row, : len(values)] = values
        weights[row, : len(values)] = 1 / len(values) if len(values) else np.nan
    return xr.Dataset(
        {
            f"{prefix}node_eigenvalue": (("seed", "node"), nodes),
            f"{prefix}node_weight": (("seed", "node"), weights),
        },
        coords={"seed": range(len(each))},
    )


@given(EIGENVALUES, EIGENVALUES, st.floats(0.05, 5), st.sampled_from([None, 1e-3, 1.0]))
def test_densities_integrate_to_one(first, second, width, scale):
    found = spectral_density(made(first, second), width, scale=scale).density
    assert (found >= 0).all()
    if scale is None:
        # Trapezoids half a width apart err by exp(-8 pi^2) on a whole Gaussian.
        np.testing.assert_allclose(found.integrate("value"), 1, rtol=1e-9)
    else:
        # Even in t, where they are as good: the density per t is that per eigenvalue, times slope.
        step = np.diff(np.arcsinh(found.value / scale)).mean()
        per_step = found * np.hypot(found.value, scale)
        np.testing.assert_allclose(per_step.sum("value") * step, 1, rtol=1e-6)


@given(EIGENVALUES, st.floats(0.1, 10))
def test_shares_below_a_cut_are_integrals_of_the_density(values, cut):
    nodes = made(values)
    share = eigenvalue_fraction(nodes, cut).item()
    assert share == pytest.approx(np.mean(np.abs(values) < cut), abs=1e-12)
    width = 1e-2
    if np.abs(np.abs(values) - cut).min() < 8 * width:
        return  # a Gaussian reaches over the cut
    density = spectral_density(nodes, width).density
    within = density.where(np.abs(density.value) < cut, 0.0).integrate("value")
    assert within.item() == pytest.approx(share, abs=1e-9)


def test_density_is_the_sum_of_gaussians(seed):
    values = np.random.default_rng(seed).normal(size=7)
    density = spectral_density(made(values), 0.3, num_points=200).density.isel(seed=0)
    assert density.sizes["value"] == 200
    for at in (3, 100, 150):
        plain = np.mean(
            [
                np.exp(-(((density.value[at].item() - v) / 0.3) ** 2) / 2)
                / (0.3 * (2 * np.pi) ** 0.5)
                for v in values
            ]
        )
        assert density[at].item() == pytest.approx(plain, rel=1e-12)


def test_nothing_measured_is_nan():
    nodes = made([], [1.0, 2.0], prefix="test_")
    density = spectral_density(nodes, 0.1, prefix="test_").density
    assert density.sel(seed=0).isnull().all()
    assert density.sel(seed=1).notnull().all()
    assert spectral_density(made([]), 0.1).density.isnull().all()
    assert eigenvalue_fraction(nodes, 1.5, prefix="test_").values == pytest.approx(
        [np.nan, 0.5], nan_ok=True
    )


def test_arguments_out_of_bounds_are_named(tmp_path):
    nodes = made([0.0, 10.0])
    with pytest.raises(ValueError, match=r"width: 0\.0 must be a finite number above 0"):
        spectral_density(nodes, 0.0)
    with pytest.raises(ValueError, match=r"scale: -1 must be a finite number above 0"):
        spectral_density(nodes, 0.1, scale=-1)
    # 10 + 16 widths of 1.
    with pytest.raises(ValueError, match="num_points: 26 must be at least 27 for this width"):
        spectral_density(nodes, 1.0, num_points=26)
    with pytest.raises(
        ValueError, match=r"prefix: there is no test_node_eigenvalue; allowed are ''"
    ):
        eigenvalue_fraction(nodes, 1.0, prefix="test_")
    with pytest.raises(ValueError, match=r"none\.nc: there is no such file"):
        open_group(tmp_path / "none.nc", "/spectrum")
