"""The report in a real browser: it opens offline, in silence, and its charts answer the pointer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import report_frames

from btq_assets.reports.assemble import assemble
from btq_assets.reports.parts import series
from btq_assets.reports.render import render

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH"),
]


@pytest.fixture(scope="module")
def tables() -> report_frames.ReportFrames:
    return report_frames.make_frames(520)


@pytest.fixture(scope="module")
def opened(
    tables: report_frames.ReportFrames, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, list[str], list[str]]]:
    from playwright.sync_api import sync_playwright

    file = tmp_path_factory.mktemp("report") / "risk_report.html"
    file.write_text(render(assemble(tables, report_frames.make_context())))
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


def box_of_awake(page: Page, chart: str) -> FloatRect:
    """Place of a chart's plot on the screen, once it answers and the page has stopped moving."""
    plot = page.locator(f"{chart} .plot")
    plot.scroll_into_view_if_needed()
    page.locator(f"{chart}[data-awake]").wait_for(state="attached")
    before = None
    while (box := plot.bounding_box()) != before or box is None:
        before = box
        page.wait_for_timeout(100)
        plot.scroll_into_view_if_needed()
    return box


def test_it_opens_offline_without_a_sound(opened: tuple[Page, list[str], list[str]]) -> None:
    page, noise, requests = opened
    assert page.locator("#verdict h2").inner_text().endswith("nothing beats 1/N.")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in requests if url.startswith("file:")]) == 1
    assert noise == []


@pytest.mark.parametrize("width", [1200, 420])
def test_it_fits_the_screen(opened: tuple[Page, list[str], list[str]], width: int) -> None:
    page = opened[0]
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1200, "height": 900})


def test_every_entry_of_the_contents_leads_somewhere(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page = opened[0]
    targets = page.eval_on_selector_all("nav a", "all => all.map(a => a.getAttribute('href'))")
    assert len(targets) == 16
    assert all(page.locator(target).count() == 1 for target in targets)


def test_the_pointer_reads_the_numbers_of_the_table(
    opened: tuple[Page, list[str], list[str]], tables: report_frames.ReportFrames
) -> None:
    page, noise, _ = opened
    box = box_of_awake(page, "#chart-equity")
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 40)
    tip = page.locator("#chart-equity .tip")
    day = tip.locator("strong").inner_text()
    read = dict(
        text.split("\n") for text in tip.locator("div").all_inner_texts() if "\n" in text
    )  # fmt: skip
    points = series.weekly(tables["equity"])
    expected = {
        ("1/N" if name == "one_over_n" else name): growth
        for name, when, growth in points.select("strategy", "day", "growth").iter_rows()
        if str(when) == day
    }
    assert set(read) == set(expected)
    for name, growth in expected.items():
        assert float(read[name].removesuffix("×")) == pytest.approx(growth, abs=0.006)
    assert noise == []


def test_a_line_can_be_hidden_and_the_chart_zoomed(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page, noise, _ = opened
    chart = page.locator("#chart-drawdown")
    box_of_awake(page, "#chart-drawdown")
    key = chart.locator("button.key").first
    number = key.get_attribute("data-line")
    key.click()
    assert not chart.locator(f'path.line[data-line="{number}"]').is_visible()
    key.click()
    before = chart.locator("svg").get_attribute("viewBox")
    box = box_of_awake(page, "#chart-drawdown")
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    assert chart.locator("svg").get_attribute("viewBox") != before
    assert all("-" in text for text in chart.locator(".gx b").all_inner_texts())
    chart.locator(".reset").click()
    assert chart.locator("svg").get_attribute("viewBox") == before
    assert chart.locator(".reset").is_hidden()
    assert noise == []


def test_a_chart_sleeps_until_it_is_near_the_screen(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page = opened[0]
    page.evaluate("window.scrollTo(0, 0)")
    page.reload()
    page.wait_for_selector("#chart-equity", state="attached")
    assert page.locator("#chart-charged[data-awake]").count() == 0
    page.locator("#chart-charged").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-charged[data-awake]", timeout=5_000)


def test_the_pointer_reads_curves_bars_and_months(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page, noise, _ = opened

    def read(chart: str, over: str, share: float) -> list[str]:
        place = page.locator(f"{chart} {over}").first
        place.scroll_into_view_if_needed()
        page.wait_for_selector(f"{chart}[data-awake]", timeout=5_000)
        box = place.bounding_box()
        assert box is not None
        # Waits until what was drawn above has found its height.
        place.hover(position={"x": share * box["width"], "y": box["height"] / 2}, timeout=5_000)
        tip = page.locator(f"{chart} .tip")
        return [tip.locator("strong").inner_text(), *tip.locator("div").all_inner_texts()]

    # By the fixture: 1/N is strategy 6, so 0.6 lower by 0.06 at 20 bps, two fifths of the axis.
    title, *lines = read("#chart-stress-cost", ".plot", 0.4)
    assert title == "basis points of traded value: 20"
    assert "1/N\n0.54" in lines
    title, *lines = read("#chart-shortfall", ".bar", 0.5)
    assert "spread\n2.0" in lines
    assert lines[-1].startswith("shortfall\n")
    title, *lines = read("#chart-months-above", ".field svg", 0.99)
    assert title == "2005-12"
    assert lines[0].endswith("\n6.0 %")
    key = page.locator("#chart-shortfall button.key").first
    key.click()
    assert not page.locator('#chart-shortfall .track [data-part="0"]').first.is_visible()
    key.click()
    assert noise == []


def test_the_contents_lead_to_the_head_of_a_part_that_is_not_laid_out_yet(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page = opened[0]
    page.reload()
    for part in ("risk", "scenarios"):
        page.locator(f'nav a[href="#{part}"]').evaluate("a => a.click()")
        page.wait_for_function(
            f"Math.abs(document.querySelector('#{part}').getBoundingClientRect().top) < 3",
            timeout=5_000,
        )
        page.wait_for_selector(f'nav a.here[href="#{part}"]', timeout=5_000)
