"""A small book in a real browser, from files: it asks nobody for anything, fits a phone's width, keeps its figures' size, and finds a word."""

import os
import sys
from pathlib import Path

import pytest
from test_book import ALT, STEMS, book, site  # noqa: F401, the fixtures that build it

sys.path.insert(0, str(Path(__file__).parent))
import lab

from ivcore import paths

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("IVCORE_BROWSER"), reason="make browser-test runs it, with IVCORE_BROWSER=1"),
]
WIDTHS = (1300, 420)
PAGES = (
    "index.html",
    f"notebooks/{STEMS[0]}.html",
    f"notebooks/{STEMS[1]}.html",
    "docs/workflow.html",
    "ivcore/cma.py.html",
    "source.html",
)


@pytest.fixture(scope="module")
def opened(site):  # noqa: F811
    """A page at a width, with what its console said and what it asked for."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=lab.CHROMIUM, headless=True, args=lab.FLAGS)

        def page(name: str, width: int):
            shown, said = chromium.new_page(viewport={"width": width, "height": 1000}), []
            shown.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
            shown.on("pageerror", lambda error: said.append(str(error)))
            shown.on(
                "request",
                lambda request: (
                    said.append(request.url) if "://" in request.url and not request.url.startswith("file://") else None
                ),
            )
            shown.set_default_timeout(lab.PATIENCE)
            shown.goto(f"file://{site}/{name}")
            return shown, said

        yield page
        chromium.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_asks_nobody(opened, name, width):
    page, said = opened(name, width)
    folder = paths.outputs() / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"book_{name.replace('/', '_')}_{width}.png")
    assert said == [] and page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_keeps_its_size(opened, width):
    page, _ = opened(PAGES[1], width)
    assert page.get_by_alt_text(ALT).bounding_box()["width"] == pytest.approx(300, abs=1)
    page.close()


def test_the_search_finds_a_word_without_a_server(opened):
    page, said = opened("search.html?q=tubelet", 1300)
    page.locator("#search-results li a").first.wait_for()
    assert any("Masking" in text for text in page.locator("#search-results li a").all_text_contents()) and said == []
    page.close()
