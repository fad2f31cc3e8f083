"""The explorer in a real browser, from a file, without a network: filters, clicks, no errors."""

import json
import math
import shutil
import time

import numpy as np
import pytest
from by_hand import run
from small_cubes import MINIMUM, made_cube

from basins.cube.read import open_cube, open_group
from basins.figures import explorer
from basins.figures.explorer_details import GROUPS, details_of
from basins.figures.explorer_minima import minima_of

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402 - after it is known to be there
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402 - too
from selenium.webdriver.support.ui import Select  # noqa: E402 - too

pytestmark = pytest.mark.xdist_group("explorer")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1500,2400",
    # Whoever asks for a name gets none: the page has to do without.
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
PATIENCE = 30  # seconds until what a click does must be seen
MODEL = "Bokeh.documents[0].get_model_by_name"
VIEW = f"Bokeh.index.find_one({MODEL}(arguments[0]))"
ROWS = (
    f"Array.from({VIEW}.el.shadowRoot.querySelectorAll('.slick-row'))"
    ".sort((one, other) => one.offsetTop - other.offsetTop)"
)


class Page:
    """A page opened in the browser, asked by the names of its parts."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get_log("performance")
        driver.get_log("browser")
        driver.get(path.as_uri())
        self.wait(lambda: "minima pass" in self.text("count"))

    def wait(self, condition):
        """Wait until something holds, as a click takes a moment."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "the page did not do what was waited for"
            time.sleep(0.02)

    def ask(self, code, *arguments):
        return self.driver.execute_script(f"return {code}", *arguments)

    def text(self, name):
        """Return what stands on the screen in a paragraph."""
        parts = f"Array.from({VIEW}?.el.shadowRoot.querySelectorAll(':not(style)') ?? [])"
        return self.ask(f"{parts}.map((part) => part.innerText).join('').trim()", name)

    def data(self, source, column):
        """Return a column of a source as numbers, NaN where there is none."""
        code = f"Array.from({MODEL}(arguments[0]).data[arguments[1]], Number).map(String)"
        return np.array([float(each) for each in self.ask(code, source, column)])

    def image(self, source):
        code = f"Array.from({MODEL}(arguments[0]).data.image[0]).map(String)"
        return np.array([float(each) for each in self.ask(code, source)])

    def minima(self, column):
        code = f"Array.from({MODEL}('points').data_source.data[arguments[0]]).map(String)"
        return np.array(self.ask(code, column))

    def shown(self):
        """Return the rows that plot and table show."""
        plotted = self.ask(f"Array.from({VIEW}.model.view.indices)", "points")
        listed = self.ask(f"{MODEL}('minima').view.filter.indices")
        assert plotted == listed
        return plotted

    def rows(self):
        """Return the cells of the rows of the table that are on the screen, from the top."""
        code = f"{ROWS}.map((row) => Array.from(row.children, (cell) => cell.innerText))"
        return self.ask(code, "minima")

    def control(self, name):
        return Select(self.ask(f"{VIEW}.el.shadowRoot.querySelector('select')", name))

    def click_row(self, number):
        """Click a row of the table, counted from its top."""
        self.click(
            f"""((row) => {{
                row.scrollIntoView({{block: "center"}})
                const box = row.firstChild.getBoundingClientRect()
                return [box.left + box.width / 2, box.top + box.height / 2]
            }})({ROWS}[arguments[1]])""",
            "minima",
            number,
        )

    def click_point(self, row):
        """Click where a minimum is drawn."""
        self.driver.execute_script("window.scrollTo(0, 0)")
        self.click(
            f"""((plot, data) => {{
                const box = plot.canvas_view.el.getBoundingClientRect()
                const x = plot.frame.x_scale.compute(data.x[arguments[1]])
                const y = plot.frame.y_scale.compute(data.y[arguments[1]])
                return [box.left + x, box.top + y]
            }})({VIEW}, {MODEL}("points").data_source.data)""",
            "scatter",
            row,
        )

    def click(self, code, *arguments):
        x, y = self.ask(code, *arguments)
        actions = ActionBuilder(self.driver)
        actions.pointer_action.move_to_location(round(x), round(y)).click()
        actions.perform()

    def complaints(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self):
        """Return what was asked of anything but this file and itself since it was opened."""
        sent = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        urls = [
            one["params"]["request"]["url"]
            for one in sent
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:", "chrome:"))]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and chromedriver):
        pytest.skip("no Chromium: Debian's packages chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def made_page(request, tmp_path_factory):
    """Return the file of a made study's page, and its cube."""
    root, groups = made_cube(request.config.basins_seed)
    path = tmp_path_factory.mktemp("made") / "explorer.html"
    path.write_text(explorer.page(root, groups), encoding="utf-8")
    return path, root, groups


@pytest.fixture
def made(driver, made_page):
    """Return the made study's page, opened, and its cube."""
    path, root, groups = made_page
    page = Page(driver, path)
    yield page, root, groups
    assert page.complaints() == []
    assert page.requests() == []


def rows_where(page, **labels):
    hits = [page.minima(name) == str(value) for name, value in labels.items()]
    return np.flatnonzero(np.all(hits, axis=0)).tolist()


def where(page, row):
    """Return the labels of the minimum in a row."""
    names = {dim: page.minima(dim)[row] for dim in MINIMUM}
    return names | {dim: int(names[dim]) for dim in ("train_size", "seed")}


def volumes(page, root, **basin):
    """Return the log volumes of a basin in the order of the page's rows."""
    found = [root.log_volume.sel(where(page, row)) for row in range(len(page.minima("seed")))]
    own = basin.pop("own", False)
    return np.array(
        [
            one.sel(basin | ({"landscape_size": one.train_size} if own else {})).item()
            for one in found
        ]
    )


def test_it_opens_with_every_minimum_in_its_place(made):
    page, root, _ = made
    assert page.driver.title == "A made study: explorer"
    assert page.shown() == list(range(36))
    assert page.text("count").startswith("36 of 36 minima pass the filters; 24 of them have")
    expected = volumes(page, root, landscape_size=20, threshold=0.1, estimator="annealed")
    heights = page.minima("y").astype(float)
    np.testing.assert_allclose(heights, expected / math.log(10), rtol=1e-12)
    accuracy = [root.test_accuracy.sel(where(page, row)).item() for row in range(36)]
    np.testing.assert_allclose(page.minima("x").astype(float), 100 * np.array(accuracy), rtol=1e-12)
    assert page.text("heading").startswith("Nothing is chosen yet")


def test_filters_hold_for_plot_and_table(made):
    page, _, _ = made
    page.control("recipe").select_by_visible_text("sgd")
    page.wait(lambda: page.text("count").startswith("12 of 36"))
    assert page.shown() == rows_where(page, recipe="sgd")
    page.control("train_size").select_by_visible_text("60")
    page.wait(lambda: page.text("count").startswith("6 of 36"))
    expected = rows_where(page, recipe="sgd", train_size=60)
    assert page.shown() == expected
    page.wait(lambda: len(page.rows()) == 6)
    assert {(cells[0], cells[3]) for cells in page.rows()} == {("sgd", "60")}
    # A second choice in one filter adds to the first.
    page.control("recipe").select_by_visible_text("adam")
    page.wait(lambda: page.text("count").startswith("12 of 36"))
    page.control("training_status").select_by_visible_text("diverged")
    page.wait(lambda: page.text("count").startswith("0 of 36"))
    page.wait(lambda: page.rows() == [])
    for name in ("recipe", "train_size", "training_status"):
        page.control(name).deselect_all()
    page.wait(lambda: page.text("count").startswith("36 of 36"))


def test_another_basin_moves_the_points(made):
    page, root, _ = made
    page.control("threshold").select_by_visible_text("0.5")
    page.control("estimator").select_by_visible_text("rays")
    page.control("landscape").select_by_visible_text("own: the examples trained on")
    expected = volumes(page, root, own=True, threshold=0.5, estimator="rays")

    def is_there():
        return np.array_equal(page.minima("log_volume").astype(float), expected, equal_nan=True)

    page.wait(is_there)
    np.testing.assert_allclose(page.minima("y").astype(float), expected / math.log(10), rtol=1e-12)


def assert_shows(page, root, groups, row):
    """Hold what the lower half shows of a minimum against its cube."""
    labels = where(page, row)
    page.wait(lambda: labels["recipe"] in page.text("heading"))
    heading = "{recipe}, {model} on {dataset}, {train_size} examples, seed {seed}".format(**labels)
    page.wait(lambda: page.text("heading").startswith(heading))
    one = {name: group.sel(labels) for name, group in groups.items()}
    lead = one["/boundaries"].class_lead
    steps = slice(None, None, 2 if len(lead) > 51 else 1)
    for name in ("boundary", "plane", "spectrum", "curve"):
        assert page.ask(f"{MODEL}(arguments[0]).visible", name)
    np.testing.assert_array_equal(page.image("boundary-image"), lead[steps, steps].values.ravel())
    points = one["/boundaries"].point_x.values[: labels["train_size"]]
    np.testing.assert_array_equal(page.data("boundary-points", "x"), points)
    losses = one["/planes"].plane_loss.sel(landscape_size=labels["train_size"])
    np.testing.assert_array_equal(page.image("plane-image"), losses[steps, steps].values.ravel())
    curve = one["/history"].train_loss.values
    curve = curve[np.isfinite(curve) & (curve > 0)].astype(np.float32)
    np.testing.assert_array_equal(page.data("curve-line", "y"), curve)
    details = details_of(root, groups, minima_of(root).places[[row]]).columns
    for part, name in (("own", "spectrum"), ("test", "test_spectrum")):
        for axis in "xy":
            shown = page.data(f"spectrum-{part}", axis)
            np.testing.assert_array_equal(shown, details[f"{name}_{axis}"][0])
    columns = f"{MODEL}('flatness').source.data"
    measured = dict(zip(*page.ask(f"[{columns}.name, {columns}.value]"), strict=True))
    expected = root.trace.sel(labels).sel(landscape_size=labels["train_size"]).item()
    assert measured["trace of the Hessian in a landscape"] == expected


def test_a_click_on_a_point_shows_that_minimum(made):
    page, root, groups = made
    drawn = np.flatnonzero(np.isfinite(page.minima("y").astype(float)))
    # Two that are alone where they are, so that a click can mean nothing else.
    x, y = (page.minima(name).astype(float)[drawn] for name in "xy")
    spot = np.stack([x / np.ptp(x), y / np.ptp(y)])
    distance = np.linalg.norm(spot[:, :, None] - spot[:, None], axis=0) + 9 * np.eye(len(drawn))
    for at in np.argsort(-distance.min(axis=1))[:2]:
        page.click_point(int(drawn[at]))
        assert_shows(page, root, groups, int(drawn[at]))


def test_a_click_on_a_row_shows_that_minimum_and_what_is_missing_in_words(made):
    page, root, groups = made
    page.wait(lambda: len(page.rows()) > 4)
    page.click_row(3)
    assert_shows(page, root, groups, 3)
    # The line of the loss plane follows the threshold.
    before = page.data("plane-line", "x")
    page.control("threshold").select_by_visible_text("0.5")
    page.wait(lambda: len(page.data("plane-line", "x")) != len(before))
    page.control("recipe").select_by_visible_text("wild")
    page.wait(lambda: page.text("heading").startswith("Nothing is chosen yet"))
    page.wait(lambda: len(page.rows()) == 12)
    page.click_row(0)
    page.wait(lambda: page.text("heading").startswith("wild, mlp-8"))
    for name, words in (
        ("boundary", "No decision boundary was measured of this minimum (training: diverged)."),
        ("plane", "No loss plane was measured of this minimum (training: diverged)."),
        ("spectrum", "No spectrum was measured of this minimum (training: diverged)."),
    ):
        assert page.text(f"{name}-note") == words
        assert not page.ask(f"{MODEL}(arguments[0]).visible", name)


def test_sorting_the_table_keeps_clicks_on_their_minima(made):
    page, root, groups = made
    page.control("recipe").select_by_visible_text("adam")
    page.wait(lambda: len(page.rows()) == 12)
    code = f"Array.from({VIEW}.el.shadowRoot.querySelectorAll('.slick-header-column'))"
    header = page.ask(f"{code}.find((one) => one.innerText.trim() === 'test accuracy')", "minima")
    header.click()
    accuracy = page.minima("x").astype(float)
    expected = sorted(rows_where(page, recipe="adam"), key=lambda row: accuracy[row])

    def is_sorted():
        shown = [float(cells[5]) for cells in page.rows()]
        return np.allclose(shown, accuracy[expected] / 100, atol=1e-4)

    page.wait(is_sorted)
    page.click_row(0)
    assert_shows(page, root, groups, expected[0])


def test_text_of_a_study_runs_nothing(driver, seed, tmp_path):
    evil = "<img src=x onerror=window.hacked=1>"
    recipes = (evil, "</script><script>window.hacked=1</script>", "diverged")
    root, groups = made_cube(seed, recipes, seeds=1)
    root.attrs |= {"title": "<script>window.hacked=1</script>", "study": evil}
    path = tmp_path / "explorer.html"
    path.write_text(explorer.page(root, groups), encoding="utf-8")
    page = Page(driver, path)
    heading = driver.find_element("css selector", "h1").text
    assert heading == "<script>window.hacked=1</script>"
    page.wait(lambda: len(page.rows()) > 1)
    assert page.rows()[0][0] == evil
    page.click_row(0)
    page.wait(lambda: page.text("heading").startswith(evil))
    x = np.flatnonzero(np.isfinite(page.minima("y").astype(float)))
    # The words beside a point, too.
    page.click_point(int(x[0]))
    page.control("recipe").select_by_visible_text(evil)
    assert page.ask("window.hacked") is None
    assert page.complaints() == []


def test_page_of_a_real_study(driver, swiss_roll_cube, tmp_path):
    output = tmp_path / "explorer.html"
    run("explore", "--cube", swiss_roll_cube, "--output", output)
    page = Page(driver, output)
    groups = {}
    with open_cube(swiss_roll_cube) as opened:
        root = opened.load()
    for name in GROUPS:
        with open_group(swiss_roll_cube, name) as group:
            groups[name] = group.load()
    for row in rows_where(page, recipe="adam", seed=1):
        page.click_row(row)
        assert_shows(page, root, groups, row)
    assert page.complaints() == []
    assert page.requests() == []
