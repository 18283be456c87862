"""The data docs: answers of a real run, in a real browser, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from btq_assets.config import TradingConfig
from btq_assets.sources.market.assets import bars_folder
from btq_assets.sources.repairs.assets import repairs
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from data_quality.site.__main__ import main

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

#: A close in cents, and a row that is impossible; the text of a cell must not become markup.
BAD = """Date,Open,High,Low,Close,Adj Close,Volume
2020-01-02,10,11,9,10,10,100
2020-01-03,1000,1100,900,1000,1000,100
2020-01-06,10,11,9,10,10,100
2020-01-07,<script>alert(1)</script>,11,9,10,10,100
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pages over two runs: the first stores the bad bars, the second finds nothing new."""
    root = tmp_path_factory.mktemp("site")
    for folder in ("inbox", "home"):
        (root / folder).mkdir()
    (root / "inbox" / "XYZ.csv").write_text(BAD)
    config = TradingConfig(sources={"folder": {"enabled": True, "path": str(root / "inbox")}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "home"))
        with dg.DagsterInstance.get() as instance:
            for _ in range(2):
                dg.materialize(
                    [bars_folder.definition(config), repairs.definition(config)],
                    resources={
                        "trading": ConfigResource.of(config),
                        "warehouse": WarehouseResource(path=str(root / "data"), lock_timeout_s=5),
                        "device": DeviceResource(device="cpu"),
                    },
                    instance=instance,
                )
        working = DataPaths(root / "data").working_file
        assert main(["--out", str(root / "docs"), "--database", str(working)]) == 0
        yield root / "docs"


def test_every_table_has_a_page_with_its_checks_rows_and_repairs(site: Path) -> None:
    assert {page.name for page in site.iterdir()} == {
        "index.html", "raw.bars_folder.html", "quality.repairs.html",
    }  # fmt: skip
    page = (site / "raw.bars_folder.html").read_text()
    for text in ("no_unit_error", "open &#39;&lt;script&gt;", "unit_100x", "is not a number"):
        assert text in page, text
    assert "<script>alert" not in page


def test_without_a_home_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "nowhere"))
    assert main(["--out", str(tmp_path)]) == 1
    assert "DAGSTER_HOME names no folder" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_it_is_browsed_offline_without_a_sound(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    noise: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page: Page = browser.new_context(
            viewport={"width": 420, "height": 900}, offline=True
        ).new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        # What is out of order stands first, each line with a way to its rows.
        out_of_order = page.locator("#wrong tr[data-state]")
        assert set(out_of_order.locator("td:first-child").all_inner_texts()) == {"warned"}
        page.get_by_label("Search").fill("unit bars_folder")
        shown = [line for line in out_of_order.all() if line.is_visible()]
        assert [line.locator("td:nth-child(3)").inner_text() for line in shown] == ["no_unit_error"]
        shown[0].get_by_role("link", name="no_unit_error").click()
        assert page.locator("#no_unit_error").get_attribute("open") is not None
        page.go_back()
        page.get_by_label("Search").fill("no such thing")
        assert page.get_by_text("Nothing matches.").is_visible()
        page.get_by_label("Search").fill("")
        page.get_by_role("button", name="failed").click()
        assert not page.locator("#tables tr[data-state]:visible").count()
        page.get_by_role("button", name="all").click()
        # The number of a state leads to the checks in it, and to no others.
        page.locator("#tables tr", has_text="raw.bars_folder").locator("td.passed a").click()
        states = page.locator("details:visible .state").all_inner_texts()
        assert states
        assert set(states) == {"passed"}
        page.go_back()
        row = page.locator("#tables tr", has_text="raw.bars_folder")
        assert row.locator("a[href='raw.bars_folder.html#refused']").inner_text() == "1"
        # Two warnings at least: the unit, and a return the size of a split.
        assert int(row.locator("td.warned").inner_text()) >= 2
        row.get_by_role("link", name="raw.bars_folder").click()
        check = page.locator("#no_unit_error")
        assert check.locator(".state").inner_text() == "warned"
        # Into the bar in cents and out of it.
        assert check.locator("table.sample tr").count() == 3
        assert "2020-01-03" in check.locator("table.sample").inner_text()
        # Both runs answered: the second had nothing new to judge.
        assert check.locator(".dots span").count() == 2
        passed = page.locator("#contract")
        assert not passed.locator("p").first.is_visible()
        passed.locator("summary").click()
        assert passed.locator("p").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        page.get_by_role("link", name="Data docs").click()
        assert page.title() == "Data docs"
        browser.close()
    assert noise == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
