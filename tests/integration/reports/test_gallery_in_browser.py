"""The gallery in a real browser: offline, in silence, searchable, and drawn as it is scrolled to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
import pytest
import report_frames

from btq_assets.reports.gallery.page import GalleryFrames, render_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH"),
]

Opened = tuple["Page", list[str], list[str]]


def many(n: int = 300) -> GalleryFrames:
    """The five SYNTHETIC features, and copies of one to scroll through."""
    tables = report_frames.make_frames(520)
    catalogue, plots = tables["catalogue"], tables["feature_plots"]
    named = [f"copy_{k}" for k in range(n)]
    copied = [catalogue, *(catalogue[3].with_columns(name=pl.lit(name)) for name in named)]
    drawn = [
        plots,
        *(
            plots[3].with_columns(feature=pl.lit(name), place=pl.lit(5 + k).cast(pl.Int64))
            for k, name in enumerate(named)
        ),
    ]
    return GalleryFrames(
        pl.concat(drawn),
        pl.concat(copied),
        tables["feature_quality"],
        {m: tables[f"importances_{m}"] for m in ("ridge", "lightgbm")},
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    from playwright.sync_api import sync_playwright

    file = tmp_path_factory.mktemp("gallery") / "features.html"
    file.write_text(
        render_gallery(many(), generated_at=report_frames.NOW, profile="quick", run_id="made-up")
    )
    noise: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        yield page, noise, requests
        browser.close()


@pytest.fixture
def page(opened: Opened) -> Page:
    """The page with nothing searched for."""
    found = opened[0]
    found.fill("#query", "")
    for control in ("family", "requires", "state", "order"):
        found.select_option(f"#{control}", "")
    found.wait_for_function("document.getElementById('count').textContent === '305 of 305'")
    found.evaluate("scrollTo(0, 0)")
    return found


def names(page: Page) -> list[str]:
    return page.locator(".card h3").all_inner_texts()


def wait_for_count(page: Page, text: str) -> None:
    page.wait_for_function(f"document.getElementById('count').textContent === {text!r}")


def test_it_opens_offline_without_a_sound(opened: Opened, page: Page) -> None:
    _, noise, requests = opened
    assert page.locator("h1").inner_text() == "305 features, 304 with values"
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert noise == []


@pytest.mark.parametrize("width", [1200, 390])
def test_it_fits_the_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1200, "height": 900})


def test_it_draws_what_is_scrolled_to(page: Page) -> None:
    page.select_option("#order", "name")
    page.select_option("#order", "")
    wait_for_count(page, "305 of 305")
    before = page.locator(".card").count()
    assert before < 305
    for _ in range(40):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(30)
        if page.locator(".card").count() == 305:
            break
    assert page.locator(".card").count() == 305
    assert page.locator(".card svg").count() == 304


def test_a_word_finds_names_formulas_and_sources(page: Page) -> None:
    page.fill("#query", "rsi made up")
    wait_for_count(page, "1 of 305")
    assert names(page) == ["rsi_14"]
    assert page.locator(".formula").inner_text() == "formula of rsi_14 <b>"
    assert "PSI 0.40" in page.locator(".marks").inner_text()
    page.fill("#query", "nothing is called so")
    wait_for_count(page, "0 of 305")
    assert "No feature matches" in page.locator("#cards").inner_text()


def test_filters_and_orders_follow_the_tables(page: Page) -> None:
    page.select_option("#family", "technical")
    wait_for_count(page, "3 of 305")
    page.select_option("#order", "psi")
    page.wait_for_function("document.querySelector('.card h3').textContent === 'rsi_14'")
    assert names(page) == ["rsi_14", "return_5d", "return_1d"]
    page.select_option("#state", "redundant")
    wait_for_count(page, "2 of 305")
    page.select_option("#family", "")
    page.select_option("#state", "empty")
    wait_for_count(page, "1 of 305")
    assert names(page) == ["hidden"]
    assert page.locator(".card .empty").count() == 1


def test_an_address_leads_to_a_feature_or_a_family(page: Page) -> None:
    page.evaluate("location.hash = '#family=quantum'")
    wait_for_count(page, "1 of 305")
    page.evaluate("location.hash = '#return_5d'")
    page.wait_for_function("document.querySelector('.card h3')?.textContent === 'return_5d'")
    page.evaluate("history.replaceState(null, '', location.pathname)")


def test_the_pointer_reads_the_curve(opened: Opened, page: Page) -> None:
    page.fill("#query", "return_1d")
    wait_for_count(page, "1 of 305")
    box = page.locator(".card svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 20)
    # By hand: the first character of the curves, # and # and }, on an axis from -1 to 1.
    said = page.locator(".said").inner_text()
    assert said == "2005 Q1: median −1, 10–90 % −1 to 1"
    page.mouse.move(0, 0)
    assert page.locator(".said").inner_text().startswith("us20, 8 symbols, median by quarters")
    assert opened[1] == []
