"""The page in a real browser: from the upload to the coloured surface, by mouse, keyboard and on a phone."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from served import Served

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
pytest.importorskip("pyworkflow", reason="Scipion is not installed here")

CHROMIUM = next(
    filter(os.path.exists, ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")), None
)
if CHROMIUM is None:
    pytest.skip("there is no Chromium here; these tests drive one", allow_module_level=True)

SOFTWARE_GL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
PHONE = {"width": 390, "height": 844}
CONTROLS = "a[href], button, input, select, textarea, summary, [role=tab], [role=application], [tabindex='0']"
NAMES = """controls => controls.filter(c => c.offsetParent !== null).map(c => {
  const labels = [...(c.labels ?? [])].map(l => l.textContent).join(' ');
  const by = document.getElementById(c.getAttribute('aria-labelledby'))?.textContent;
  const inner = c.tagName === 'INPUT' ? '' : c.textContent;
  return [c.outerHTML.slice(0, 90), (c.getAttribute('aria-label') || by || labels || inner || '').trim()];
})"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)
        yield made
        made.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("browser") / "store", stub=False)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def finished(browser, real, maps):
    """A page on which an analysis was made from the upload on, and what it looked like."""
    page = opened(browser, real)
    page.set_input_files("#file-half1", str(maps["half1"]))
    page.set_input_files("#file-half2", str(maps["half2"]))
    page.set_input_files("#file-mask", str(maps["mask"]))
    page.wait_for_selector("text=FSC at 0.143, in the mask", timeout=60000)
    for box in page.query_selector_all("input[name=method]"):
        box.set_checked(box.get_attribute("value") == "monores")
    page.click("text=Start the analysis")
    page.wait_for_selector("li[data-state=running]", timeout=60000)
    page.wait_for_selector("[role=application] canvas", timeout=240000)
    page.wait_for_selector(".slider input", timeout=60000)
    yield page
    assert page.troubles == []
    page.context.close()


def opened(browser, server, **options):
    """Open the page as a new visitor; what goes wrong in it is kept in ``page.troubles``."""
    page = browser.new_context(**options).new_page()
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.troubles.append(said.text))
    page.on("request", lambda asked: page.troubles.append(asked.url) if not ours(asked.url, server) else None)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(server.url)
    page.wait_for_selector("#file-half1")
    return page


def ours(url, server):
    return url.startswith((server.url, "data:", "blob:"))


def colourful(page, selector):
    """Return the share of an element's pixels that are coloured, and how many hues they have."""
    from PIL import Image

    # Without the key beside the drawing: only what was drawn in WebGL.
    image = Image.open(io.BytesIO(page.query_selector(selector).screenshot())).convert("HSV")
    hue, saturation, _ = (np.asarray(part) for part in image.split())
    coloured = saturation > 90
    return coloured.mean(), len(np.unique(hue[coloured] // 16))


def nameless(page):
    return [control for control, name in page.eval_on_selector_all(CONTROLS, NAMES) if not name]


def test_the_surface_is_there_and_coloured(finished):
    share, hues = colourful(finished, "[role=application]")
    assert share > 0.05 and hues >= 4
    assert finished.inner_text("[role=tabpanel] h2") == "MonoRes"
    assert re.fullmatch(r"\d\.\d\d Å", finished.inner_text(".numbers dd"))


def test_the_keyboard_turns_the_surface_and_moves_the_plane(finished):
    before = finished.query_selector("[role=application]").screenshot()
    finished.focus("[role=application]")
    for _ in range(4):
        finished.keyboard.press("ArrowLeft")
    finished.wait_for_timeout(400)
    assert finished.query_selector("[role=application]").screenshot() != before
    plane = finished.inner_text(".slider output")
    finished.focus(".slider input")
    finished.keyboard.press("ArrowRight")
    assert finished.inner_text(".slider output") != plane


def test_every_control_has_a_name_and_the_keyboard_reaches_the_start(finished, browser, real):
    assert nameless(finished) == []
    page = opened(browser, real)
    assert nameless(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"nav-new", "nav-list", "kind", "file-half1", "file-half2", "file-mask"} <= reached
    assert page.troubles == []
    page.context.close()


def test_a_phone_shows_everything_within_its_width(finished, browser, real):
    page = browser.new_context(viewport=PHONE, color_scheme="dark").new_page()
    page.goto(finished.url)
    page.wait_for_selector("[role=application] canvas", timeout=60000)
    page.wait_for_selector(".slider input", timeout=60000)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    # Another browser sees the result, and can neither cancel nor delete it.
    assert page.query_selector("text=Delete") is None
    assert nameless(page) == []
    page.context.close()
    page = opened(browser, real, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.context.close()


def test_the_report_opens_in_a_world_of_its_own(finished):
    with finished.context.expect_page() as opening:
        finished.click("text=Report")
    report = opening.value
    report.wait_for_selector("canvas", timeout=60000)
    assert report.evaluate("window.origin") == "null"
    report.close()


def test_a_bad_file_is_told_where_it_was_chosen(browser, server, tmp_path, maps):
    page = opened(browser, server)
    bad = tmp_path / "bad<img src=x>.mrc"
    bad.write_bytes(b"this is no map\n" * 200)
    page.set_input_files("#file-half1", str(bad))
    page.wait_for_selector(".file.wrong [role=alert]")
    said = page.inner_text(".file.wrong .state")
    assert said.startswith("Bad<img src=x>.mrc is not an MRC map") and page.query_selector("img[src=x]") is None
    page.set_input_files("#file-half1", str(maps["half1"]))
    page.wait_for_selector(".file.there")
    assert page.query_selector(".file.wrong") is None
    # The refusal itself is what the browser's console tells.
    assert all("422" in trouble for trouble in page.troubles)
    page.context.close()


def test_cancelling_and_deleting_by_mouse(browser, server, maps):
    page = opened(browser, server)
    page.check("input[value=map]")
    page.set_input_files("#file-map", str(maps["map"]))
    page.wait_for_selector("text=Start the analysis", timeout=60000)
    page.click("text=Settings")
    page.fill("#set-box", "300")
    page.click("text=Start the analysis")
    page.wait_for_selector(".badge[data-state=running]", timeout=30000)
    page.reload()  # the address is all that is needed to come back
    page.wait_for_selector("li[data-state=running]")
    page.click("text=Cancel")
    page.wait_for_selector(".badge[data-state=cancelled]", timeout=30000)
    page.click("text=My analyses")
    page.click("td a")
    page.click("text=Delete")
    page.wait_for_selector("text=There is none yet")
    assert page.troubles == []
    page.context.close()


def test_the_page_is_small(real):
    """What comes before the first look is a few files without a build step."""
    static = Path(__file__).parents[2] / "cryores" / "web" / "static"
    assert sum(path.stat().st_size for path in static.iterdir()) < 80_000
