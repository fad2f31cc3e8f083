"""The explorer: what is on its page is what is in the cube, escaped, and within its room."""

import base64
import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from by_hand import failing, run
from hypothesis import given
from hypothesis import strategies as st
from small_cubes import GRID, MINIMUM, made_cube, made_root

from basins.cube.queries import generalization_gap
from basins.cube.read import open_cube, open_group
from basins.cube.schema import TRAINING_STATUS
from basins.figures import explorer, explorer_details, explorer_minima
from basins.figures.explorer_details import GROUPS, details_of, measures_of, thinned
from basins.figures.explorer_minima import SCALARS, kept_first, minima_of
from basins.figures.spectral_density import WIDTH
from basins.study.figure_names import FIGURES

ROOT = Path(__file__).parents[3]
CAPTIONS = ROOT / "workflow" / "report" / "figure.rst"

pytestmark = pytest.mark.xdist_group("explorer")


@pytest.fixture
def real(swiss_roll_cube):
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(open_cube(swiss_roll_cube))
        yield (
            root,
            {name: stack.enter_context(open_group(swiss_roll_cube, name)) for name in GROUPS},
        )


@pytest.fixture(params=["made", "real"])
def both(request, seed):
    """Return the root and the groups of a made cube and of a real study's."""
    return made_cube(seed) if request.param == "made" else request.getfixturevalue("real")


def label(minima, row):
    return {dim: minima.columns[dim][row] for dim in MINIMUM}


def test_every_minimum_has_its_own_numbers(both):
    root, _ = both
    minima = minima_of(root)
    assert len(minima.places) == minima.num_found == (root.training_status > 0).sum()
    gap = generalization_gap(root)
    for row in range(len(minima.places)):
        one = root.sel(label(minima, row))
        for name in SCALARS:
            if name in root:
                np.testing.assert_array_equal(minima.columns[name][row], one[name])
        np.testing.assert_array_equal(
            minima.columns["generalization_gap"][row], gap.sel(label(minima, row))
        )
        status = TRAINING_STATUS[int(one.training_status)].replace("_", " ")
        assert minima.columns["training_status"][row] == status
        own = minima.columns["own_landscape"][row]
        assert root.landscape_size[own] == one.train_size
        for name, values in minima.volumes.items():
            expected = one[name]
            if "estimator" not in expected.dims:
                expected = expected.expand_dims(estimator=root.estimator, axis=-1)
            np.testing.assert_array_equal(values[row], expected)


def test_every_minimum_has_its_own_details(both):
    root, groups = both
    minima = minima_of(root)
    details = details_of(root, groups, minima.places)
    assert sorted(details.rows) == list(range(len(minima.places)))
    for at, row in enumerate(details.rows):
        where = label(minima, row)
        one = {name: group.sel(where) for name, group in groups.items()}
        of = {name: values[at] for name, values in details.columns.items()}
        lead = one["/boundaries"].class_lead
        if np.isnan(lead).any():
            for name in ("boundary", "boundary_x", "point_x", "point_class"):
                assert len(of[name]) == 0
        else:
            x, y = details.grids["boundary"]
            shown = lead.sel(input_x=x, input_y=y)
            np.testing.assert_array_equal(of["boundary"], shown)
            for name in ("point_x", "point_y", "point_class"):
                values = one["/boundaries"][name].values
                np.testing.assert_array_equal(of[name], values[np.isfinite(values)])
                assert len(of[name]) == where["train_size"]
        losses = one["/planes"].plane_loss.sel(landscape_size=where["train_size"])
        if np.isnan(losses).any():
            assert len(of["plane"]) == len(of["plane_x0"]) == 0
        else:
            x, y = details.grids["plane"]
            np.testing.assert_array_equal(of["plane"], losses.sel(x=x, y=y))
        curve = one["/history"].train_loss.values
        is_there = np.isfinite(curve) & (curve > 0)
        np.testing.assert_array_equal(of["curve"], curve[is_there].astype(np.float32))
        np.testing.assert_array_equal(of["epoch"], one["/history"].epoch.values[is_there])


def test_spectra_are_densities_of_the_own_landscape(both):
    """A plain sum of Gaussians in asinh, over the slope; float32 of it is what the page has."""
    root, groups = both
    minima = minima_of(root)
    details = details_of(root, groups, minima.places)
    for at, row in enumerate(details.rows):
        one = groups["/spectrum"].sel(label(minima, row))
        for prefix in ("", "test_"):
            nodes, weights = (one[f"{prefix}node_{name}"] for name in ("eigenvalue", "weight"))
            if not prefix:
                size = minima.columns["train_size"][row]
                nodes, weights = (each.sel(landscape_size=size) for each in (nodes, weights))
            x = details.columns[f"{prefix}spectrum_x"][at].astype(np.float64)
            found = details.columns[f"{prefix}spectrum_y"][at]
            if np.isnan(nodes).all():
                assert len(x) == 0
                continue
            centers = np.arcsinh(nodes.values / details.scale)
            bumps = np.exp(-(((x[:, None] - centers) / WIDTH) ** 2) / 2)
            bumps /= np.sqrt(2 * np.pi) * WIDTH * details.scale * np.cosh(x[:, None])
            expected = np.nansum(bumps * weights.values, axis=1)
            is_shown = np.isfinite(found)
            assert is_shown.any()
            # Places in float32 move a Gaussian's flank by 1e-4 or so.
            np.testing.assert_allclose(found[is_shown], expected[is_shown], rtol=2e-3)
            # What is left out is less than a tenth of one eigenvalue's bump everywhere.
            slope = details.scale * np.cosh(x)
            single = 1 / (int(root.num_parameters.max()) * np.sqrt(2 * np.pi) * WIDTH)
            assert (expected[~is_shown] * slope[~is_shown] < 0.11 * single).all()


@pytest.mark.parametrize("kind", ["loss", "excess"])
def test_lines_are_where_the_lead_is_0_and_the_loss_is_the_threshold(seed, kind):
    root, groups = made_cube(seed)
    root["threshold_kind"] = kind
    minima = minima_of(root)
    details = details_of(root, groups, minima.places)
    for at, row in enumerate(details.rows):
        if minima.columns["training_status"][row] == "diverged":
            continue
        one = {name: group.sel(label(minima, row)) for name, group in groups.items()}
        x, y = (details.columns[f"boundary_{axis}"][at] for axis in "xy")
        corners = one["/boundaries"].class_lead.sel(input_x=[-1, 1], input_y=[-1, 1])
        assert (len(x) > 0) == bool(corners.min() < 0 < corners.max())
        if len(x):
            found = one["/boundaries"].class_lead.astype(np.float64)
            lead = found.interp(
                input_x=xr.DataArray(x, dims="at"), input_y=xr.DataArray(y, dims="at")
            )
            # A linear lead is interpolated without an error but single precision's.
            np.testing.assert_allclose(lead.dropna("at"), 0, atol=1e-5)
        losses = one["/planes"].plane_loss.sel(landscape_size=minima.columns["train_size"][row])
        own = float(losses.sel(x=0, y=0))
        curvature = float(losses.sel(x=1, y=0)) - own
        for number, threshold in enumerate(root.threshold.values):
            bound = threshold + (own if kind == "excess" else 0)
            radius = np.sqrt((bound - own) / curvature)
            x, y = (details.columns[f"plane_{axis}{number}"][at] for axis in "xy")
            assert len(x) > 8
            # Between nodes a line misses a parabola by its curvature times (spacing / 2)^2.
            error = abs(np.hypot(x, y) ** 2 - radius**2)
            assert np.nanmax(error) < 1.1 * (GRID[1] - GRID[0]) ** 2 / 4


def test_flatness_is_of_the_own_landscape_with_its_errors(both):
    root, groups = both
    minima = minima_of(root)
    details = details_of(root, groups, minima.places)
    measures = measures_of(root)
    assert measures == details.measures
    assert not [one for one in measures if one.variable.endswith("_stderr")]
    assert {one.variable for one in measures} >= {"trace", "path_norm"}
    for at, row in enumerate(details.rows):
        one = root.sel(label(minima, row))
        for line, measure in enumerate(measures):
            for suffix, column in (("", "flatness"), ("_stderr", "error")):
                found = details.columns[column][at][line]
                name = measure.variable + suffix
                if name not in root:
                    assert np.isnan(found)
                    continue
                expected = one[name].sel(dict(measure.labels))
                if "landscape_size" in expected.dims:
                    expected = expected.sel(landscape_size=one.train_size)
                np.testing.assert_array_equal(found, expected)


def test_measures_of_several_sizes_are_a_line_each(seed):
    names = [one.name for one in measures_of(made_cube(seed)[0]) if one.variable == "fgsm_accuracy"]
    assert names == [
        f"test accuracy attacked by one step up the gradient, perturbation {size}"
        for size in ("0.01", "0.1")
    ]


def test_groups_that_were_not_measured_leave_no_columns(seed):
    root, groups = made_cube(seed)
    plain = root.drop_vars(["trace", "trace_stderr", "path_norm", "fgsm_accuracy", "spectral_norm"])
    details = details_of(plain, {"/history": groups["/history"]}, minima_of(plain).places)
    assert set(details.columns) == {"epoch", "curve"}
    assert details.measures == []
    page = explorer.page(plain, {})
    assert "No decision boundary: the study does not ask for any" in page


def test_gauss_newton_alone_is_no_spectrum_of_the_hessian(seed):
    root, groups = made_cube(seed)
    one = groups["/spectrum"]
    other = one.rename({name: str(name).replace("node_", "gauss_newton_node_") for name in one})
    details = details_of(root, {"/spectrum": other}, minima_of(root).places)
    assert not any(len(values) for values in details.columns["spectrum_x"])


@given(count=st.integers(1, 400), most=st.integers(1, 60))
def test_thinned_grids_are_even_and_keep_the_middle(count, most):
    kept = thinned(np.linspace(-1, 1, count), most)
    assert 0 < len(kept) <= most
    assert len(set(np.diff(kept))) <= 1
    assert (count - 1) // 2 in kept


@given(settings=st.integers(1, 60), seeds=st.integers(1, 5), share=st.floats(0, 1))
def test_first_seeds_are_kept_first_and_settings_evenly(settings, seeds, share):
    places = np.array([[0, 0, 0, n, s] for n in range(settings) for s in range(seeds)])
    order = kept_first(places)
    assert sorted(order) == list(range(len(places)))
    assert (np.diff(places[order, -1]) >= 0).all()
    most = 1 + int(share * (settings - 1))
    kept = np.sort(places[order[:most], 3])
    # Steps of the golden ratio: no gap is wider than (1 + golden ratio) / most of all settings.
    gaps = np.diff([-1, *kept, settings])
    assert gaps.max() <= 2.7 * settings / most + 1


def test_page_holds_what_there_is_room_for_and_says_so(seed, monkeypatch):
    root, groups = made_cube(seed)
    whole = explorer.page(root, groups)
    assert "The page shows all 36 minima of the study." in whole
    monkeypatch.setattr(explorer_minima, "MOST_MINIMA", 20)
    minima = minima_of(root)
    assert (len(minima.places), minima.num_found) == (20, 36)
    assert np.bincount(minima.places[:, -1]).tolist() == [12, 8]
    monkeypatch.setattr(explorer_details, "MOST_DETAIL_BYTES", 150_000)
    details = details_of(root, groups, minima.places)
    held = len(details.rows)
    assert 0 < held < 20
    taken = sum(values.nbytes for column in details.columns.values() for values in column)
    assert taken * 4 / 3 < 150_000
    page = explorer.page(root, groups)
    assert "The study has 36 minima. The page shows 20 of them" in page
    assert f"are here of {held} of these minima" in page
    monkeypatch.setattr(explorer_minima, "MOST_VOLUME_BYTES", 5_000)
    few = minima_of(root)
    assert 0 < len(few.places) < 20
    assert sum(values.nbytes for values in few.volumes.values()) * 4 / 3 <= 5_000


def test_huge_study_makes_a_small_page(seed):
    root = made_root(seed, recipes=[f"recipe-{i}" for i in range(2500)], seeds=10)
    assert int((root.training_status > 0).sum()) == 100_000
    page = explorer.page(root, {})
    assert "The study has 100,000 minima. The page shows 10,000 of them" in page
    assert len(page) < 20e6


def test_text_of_the_study_is_escaped(seed):
    evil = "<script>alert(1)</script>"
    root, groups = made_cube(seed, recipes=(evil, "</script><img src=x onerror=alert(2)>"))
    root.attrs |= {"title": evil, "study": f"study: {evil}", "source_revision": evil}
    picture = explorer.Picture("power_law", f"{evil} & more", b"png")
    page = explorer.page(root, groups, [picture])
    assert evil not in page
    assert "<img src=x" not in page
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in page
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;: explorer</title>" in page


def test_figures_are_on_the_page_with_their_captions(swiss_roll_cube, tmp_path):
    figures, output = tmp_path / "figures", tmp_path / "page.html"
    figures.mkdir()
    for name in ("power_law", "volume_by_train_size"):
        (figures / f"{name}.png").write_bytes(explorer.PNG_SIGNATURE + name.encode())
    (figures / "of-mine.png").write_bytes(b"mine")
    files = ["--figures", figures, "--captions", CAPTIONS, "--output", output]
    run("explore", "--cube", swiss_roll_cube, *files)
    page = output.read_text(encoding="utf-8")
    shown = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    kept = [base64.b64decode(each).removeprefix(explorer.PNG_SIGNATURE) for each in shown]
    assert kept == [b"volume_by_train_size", b"power_law"]
    assert "with the power law ln V = a ln N + b." in page
    # The page asks nobody for anything.
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    assert not re.search(r"<link|<script[^>]+src=|<img[^>]+src=\"(?!data:)|@import", markup)
    assert "default-src 'none'" in page


def test_every_figure_has_a_caption_the_page_can_read():
    captions = explorer._captions(CAPTIONS)
    assert set(captions) == set(FIGURES)
    for words in captions.values():
        assert words.endswith(".")
        assert not re.search(r"[{}`\n]", words)


def test_bad_requests_are_one_sentence_and_write_nothing(swiss_roll_cube, tmp_path, capsys, seed):
    output, empty = tmp_path / "page.html", tmp_path / "empty.rst"
    output.write_text("before")
    empty.write_text("no captions")
    asked = ["explore", "--cube", swiss_roll_cube, "--output", output]
    said = failing(capsys, *asked, "--figures", tmp_path / "none")
    assert "--figures: " in said
    assert said.endswith("none is no folder")
    said = failing(capsys, *asked, "--figures", tmp_path, "--captions", empty)
    assert "empty.rst holds no captions of figures by name" in said
    said = failing(capsys, *asked, "--captions", empty)
    assert "empty.rst are of figures, and there is no --figures" in said
    (tmp_path / "power_law.png").write_bytes(b"no picture")
    said = failing(capsys, *asked, "--figures", tmp_path)
    assert "power_law.png is no PNG file" in said
    (tmp_path / "power_law.png").unlink()
    said = failing(capsys, "explore", "--cube", empty, "--output", output)
    assert "not a readable HDF5 file" in said
    assert output.read_text() == "before"
    root, _ = made_cube(seed)
    root["training_status"] = 0 * root.training_status
    with pytest.raises(ValueError, match="--cube: holds no minima"):
        explorer.page(root, {})


def test_nothing_else_needs_the_chart_library():
    code = "import sys; sys.modules['bokeh'] = None; import basins.verbs, basins.plan.table"
    subprocess.run([sys.executable, "-c", code], check=True)
