"""Cubes: made from job files and back, held against the schema, refused when they are not ours."""

import copy
import os
import shutil
import subprocess
import time
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray as xr

from basins.atomic import whole_or_not_at_all
from basins.cube import read, schema, write
from basins.cube.merge import merge
from basins.cube.queries import generalization_gap, largest_minimum, own_landscape
from basins.cube.scaling import power_law
from basins.cube.summary import summarize
from basins.study import fingerprints, jobs
from basins.study.load import parse_study

MAPPING = {
    "study": "made",
    "datasets": ["digits"],
    "models": ["mlp-9", "mlp-8"],
    "train_sizes": [20, 60],
    "landscape_sizes": [20, 60, 100],
    "seeds": [5, 2, 9],
    "seeds_per_job": 2,
    "recipes": {"adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 3}},
    "measure": {"volume": {"directions": 4, "thresholds": [0.1, 0.5]}},
}
PLACES = {"minima": jobs.minima_file, "rays": jobs.rays_file, "volumes": jobs.volumes_file}
VERBS = {"minima": "train", "rays": "rays", "volumes": "volume"}


def value(job, seed, *place):
    """A number that only this minimum has, so that a misplaced one is seen."""
    return seed + job.train_size / 1000 + len(job.model) * 100 + sum(place) / 1e6


def write_jobs(study):
    """Write job files whose every number says where it belongs."""
    landscapes = len(study.landscape_sizes)
    thresholds = len(study.measure.volume.thresholds)
    directions = study.measure.volume.directions
    shapes = {
        "landscape_size": landscapes,
        "threshold": thresholds,
        "estimator": 1,
        "direction": directions,
    }
    for job in jobs.expand(study):
        for kind, place in PLACES.items():
            variables = {}
            tables = dict(schema.ROOT)
            if kind == "rays":
                tables |= schema.RAYS
            for name, variable in tables.items():
                if name == "num_parameters":
                    continue
                dims = ("seed", *variable.dims[5:])
                shape = [len(job.seeds), *(shapes[dim] for dim in dims[1:])]
                filled = np.empty(shape, variable.dtype)
                for row, seed in enumerate(job.seeds):
                    filled[row] = 1 if variable.dtype != "float64" else value(job, seed)
                variables[name] = (dims, filled)
            root = xr.Dataset(variables)
            if kind == "minima":
                root.attrs = {"num_parameters": 77, "input_normalization": "none"}
            root.attrs |= {
                "Conventions": schema.CONVENTIONS,
                "kind": kind,
                "fingerprint": fingerprints.of(study, job.id, VERBS[kind]),
            }
            history = xr.Dataset(
                {name: (("seed", "step"), np.ones((len(job.seeds), 3))) for name in schema.HISTORY}
            )
            provenance = xr.Dataset({"verb": kind, "wall_seconds": 1.0, "peak_bytes": 2.0})
            write.write_netcdf(
                place(study, job.id),
                {"/": root, "/history": history, "/provenance": provenance},
            )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with all job files, and beside it, in `merged`, the cube made of them."""
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = parse_study(MAPPING, "test")
        write_jobs(made)
        path = jobs.cube_file(made)
        merge(made, path)
        shutil.move(path, folder / "merged")
    return folder


@pytest.fixture
def study(tmp_path, monkeypatch, written):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written / "results", tmp_path / "results")
    return parse_study(MAPPING, "test")


@pytest.fixture
def cube_path(study, written):
    path = jobs.cube_file(study)
    shutil.copy(written / "merged", path)
    return path


def test_every_number_lies_where_it_belongs(study, cube_path):
    with read.open_cube(cube_path) as cube:
        assert cube.model.values.tolist() == ["mlp-8", "mlp-9"]
        assert cube.seed.values.tolist() == [2, 5, 9]
        for job in jobs.expand(study):
            for seed in job.seeds:
                labels = {"model": job.model, "train_size": job.train_size, "seed": seed}
                minimum = cube.sel(labels).squeeze()
                assert float(minimum.test_loss) == value(job, seed)
                assert (minimum.log_volume == value(job, seed)).all()
                with xr.open_dataset(cube_path, group="rays") as rays:
                    assert (rays.log_radius.sel(labels) == value(job, seed)).all()


def test_cube_is_as_the_schema_says_and_opens_everywhere(cube_path):
    for group in schema.GROUPS:
        with xr.open_dataset(cube_path, group=group) as opened:
            schema.validate(opened, group)
    with xr.open_dataset(cube_path) as cube:
        assert cube.attrs["Conventions"] == "basins-1"
        assert cube.input_normalization.values.tolist() == ["none"]
        assert cube.volume_coordinates.item() == "filter"
        assert cube.num_parameters.values.tolist() == [[77], [77]]
        # A minimum whose training loss is above every threshold is marked.
        assert (cube.training_status == 2).all()
    with xr.open_datatree(cube_path) as tree:
        assert set(tree.children) == {"rays", "history", "provenance"}
    with h5py.File(cube_path) as file:
        assert file["rays/log_radius"].chunks == (1, 1, 1, 1, 1, 3, 2, 4)
        assert file["rays/log_radius"].compression == "gzip"


def test_every_variable_has_unit_formula_and_source():
    groups = {*schema.GROUPS, *schema.MORE}
    for table in (schema.GROUPS.get(group, {}) | schema.MORE.get(group, {}) for group in groups):
        for name, variable in table.items():
            for text in (variable.long_name, variable.units, variable.formula, variable.references):
                assert text, name
            assert all(other in table for other in variable.ancillary)
        assert len({name.lower() for name in table}) == len(table)


def test_merging_twice_gives_the_same_bytes(study, cube_path):
    again = cube_path.with_name("again.nc")
    merge(study, again)
    assert again.read_bytes() == cube_path.read_bytes()


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "text":
        path.write_text("not HDF5 at all")
    elif how == "foreign":
        with h5netcdf.File(path, "w") as file:
            file.attrs["title"] = "somebody else's"
    else:
        with h5py.File(path, "a") as file:
            key, new = how.split("=")
            file.attrs[key] = new


DAMAGES = [
    ("missing", "there is no such file"),
    ("truncated", "not a readable HDF5 file, cut short or foreign"),
    ("text", "not a readable HDF5 file, cut short or foreign"),
    ("foreign", "not one of Basins"),
    ("Conventions=basins-2", "written as basins-2; this version reads basins-1 only"),
    ("kind=cube", "holds cube, where"),
    ("fingerprint=old", "belong to a different study or an older version"),
]


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(("how", "words"), DAMAGES, ids=[d[0] for d in DAMAGES])
def test_bad_job_file_is_named_and_nothing_is_lost(study, cube_path, kind, how, words):
    before = cube_path.read_bytes()
    victim = PLACES[kind](study, jobs.expand(study)[1].id)
    damage(victim, how)
    with pytest.raises(ValueError, match=words) as raised:
        merge(study, cube_path)
    assert str(victim) in str(raised.value)
    assert cube_path.read_bytes() == before
    assert not list(cube_path.parent.glob(".*partial*"))


def test_opening_a_cube_that_is_none_names_it(tmp_path):
    with pytest.raises(ValueError, match=r"none\.nc: there is no such file"):
        read.open_cube(tmp_path / "none.nc")


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.nc"
    write.write_netcdf(path, {"/": xr.Dataset({"x": 1})})
    before = path.read_bytes()

    def write_half():
        with whole_or_not_at_all(path) as partial:
            partial.write_text("half")
            raise RuntimeError("killed in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_leftover_of_a_dead_process_is_removed_and_of_a_living_one_kept(tmp_path):
    path = tmp_path / "a.nc"
    with whole_or_not_at_all(path) as partial:
        partial.touch()
        own = partial.name
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = {
        process: own.replace(str(os.getpid()), str(process))
        for process in (dead.pid, os.getppid(), "99999999999999999999", "x")
    }
    for name in names.values():
        (tmp_path / name).touch()
    write.write_netcdf(path, {"/": xr.Dataset({"x": 1})})
    left = {file.name for file in tmp_path.iterdir()} - {"a.nc"}
    assert left == set(names.values()) - {names[dead.pid]}


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("No space left\non")]
)
def test_full_disk_is_one_sentence(tmp_path, monkeypatch, error):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match=r"a\.nc: the file cannot be written .*No space left"):
        write.write_netcdf(tmp_path / "a.nc", {"/": xr.Dataset()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["drop", "dims", "unit", "order"])
def test_validation_names_what_is_wrong(cube_path, change):
    with xr.open_dataset(cube_path) as opened:
        cube = opened.load()
    if change == "drop":
        cube, words = cube.drop_vars("ess"), "variable ess is missing"
    elif change == "dims":
        cube, words = cube.assign(ess=cube.train_loss), "variable ess is float64 over"
    elif change == "unit":
        cube.ess.attrs["units"] = "nat"
        words = "variable ess: attribute units is not '1'"
    else:
        cube, words = cube.isel(seed=[1, 0, 2]), "coordinate seed is not sorted"
    with pytest.raises(ValueError, match=words):
        schema.validate(cube, "/")


@pytest.mark.slow
def test_merging_thousands_of_jobs_streams(tmp_path, monkeypatch):
    """Seven hundred seeds, a job each: time and memory grow with the cube, not with its jobs."""
    import tracemalloc

    monkeypatch.chdir(tmp_path)
    mapping = copy.deepcopy(MAPPING) | {"models": ["mlp-8"], "train_sizes": [20], "seeds": 700}
    mapping |= {"landscape_sizes": [20], "seeds_per_job": 1}
    mapping["measure"]["volume"]["directions"] = 1000
    many = parse_study(mapping, "test")
    first = parse_study(mapping | {"seeds": 1}, "test")
    write_jobs(first)
    job = jobs.expand(first)[0]
    for other in jobs.expand(many):
        for kind, place in PLACES.items():
            path = place(many, other.id)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(place(first, job.id), path)
            with h5py.File(path, "a") as file:
                file.attrs["fingerprint"] = fingerprints.of(many, other.id, VERBS[kind])
    tracemalloc.start()
    start = time.perf_counter()
    merge(many, Path("cube.nc"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The radii alone are 700 x 2 x 1000 x 18 bytes = 25 MB.
    print(f"merged 2100 files in {time.perf_counter() - start:.1f} s, peak {peak / 1e6:.0f} MB")
    assert peak < 15e6


def law(exponent, spread, seed, stderr=0.0):
    """A cube whose own-landscape volumes follow ln V = exponent ln N + 3, with noise."""
    sizes = np.array([10, 100, 1000])
    rng = np.random.default_rng(seed)
    volume = exponent * np.log(sizes)[:, None] + 3 + spread * rng.normal(size=(3, 8))
    full = np.full((3, 8, 3), np.nan)
    for index in range(3):
        full[index, :, : index + 1] = volume[index][:, None] - np.arange(index + 1)
        full[index, :, index] = volume[index]
    return xr.Dataset(
        {
            "log_volume": (("train_size", "seed", "landscape_size"), full),
            "log_volume_stderr": (("train_size", "seed", "landscape_size"), 0 * full + stderr),
            "volume_status": (
                ("train_size", "seed", "landscape_size"),
                np.isfinite(full).astype(np.int8),
            ),
            "num_parameters": 50,
            "train_accuracy": (("train_size",), [1.0, 1.0, 0.9]),
            "test_accuracy": (("train_size",), [0.5, 0.7, 0.8]),
        },
        coords={"train_size": sizes, "landscape_size": sizes, "seed": range(8)},
    )


def test_power_law_is_found_exactly_without_noise(seed):
    fit = power_law(law(-2.5, 0, seed))
    for name in ("exponent", "exponent_low", "exponent_high"):
        assert float(fit[name]) == pytest.approx(-2.5, rel=1e-12)
    assert float(fit.intercept) == pytest.approx(3, rel=1e-10)
    assert float(fit.exponent_per_parameter) == pytest.approx(-0.05, rel=1e-12)


def test_power_law_interval_holds_the_exponent(seed):
    fit = power_law(law(-2.5, 0.5, seed))
    # Standard error 0.5 / sqrt(sum of squares) = 0.054; six of them, false alarm 2e-9.
    assert float(fit.exponent) == pytest.approx(-2.5, abs=0.33)
    assert 0.03 < float(fit.exponent_high - fit.exponent_low) < 0.4


def test_queries_answer_what_they_say(seed):
    cube = law(-2.5, 0.1, seed)
    own = own_landscape(cube.log_volume)
    assert own.dims == ("train_size", "seed")
    assert not own.isnull().any()
    # Smaller minima come from more data here; each landscape's largest is its own.
    assert largest_minimum(cube).values.tolist() == [10, 100, 1000]
    assert generalization_gap(cube).values == pytest.approx([0.5, 0.3, 0.1])
    nothing = cube.assign(log_volume=cube.log_volume * np.nan)
    assert largest_minimum(nothing).values.tolist() == [0, 0, 0]
    assert np.isnan(float(power_law(nothing).exponent))


def test_summary_says_what_is_there_and_what_is_marked(cube_path):
    with read.open_cube(cube_path) as cube:
        text = summarize(cube)
    for words in ("12 minima", "mlp-8 on digits, adam (n = 77 parameters)", "trained on 60"):
        assert words in text
    assert "12 above_threshold of 12  (marked)" in text
