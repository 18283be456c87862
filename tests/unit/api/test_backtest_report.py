"""The report of a notebook's backtest as a page: everything there, nothing loaded, as a user sees it."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from btq_assets import AdvancedBacktester
from btq_assets.api.backtester import Report
from btq_assets.backtest.market import BacktestError
from btq_assets.reports.notebook import FIGURES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def tester() -> AdvancedBacktester:
    """900 days over the crash of 2020: rising and calm, then falling and wild, then flat."""
    random = np.random.default_rng(1)
    drift, scale = np.repeat([0.001, -0.002, 0.0], 300), np.repeat([0.004, 0.015, 0.006], 300)
    moves = drift[:, None] + scale[:, None] * random.normal(size=(900, 2))
    closes = 100 * np.cumprod(1 + moves, axis=0)
    days = [dt.datetime(2019, 3, 1, tzinfo=dt.UTC) + dt.timedelta(days=k) for k in range(900)]
    data = pl.concat(
        pl.DataFrame({"ts": days, "symbol": s, "close": closes[:, k]}) for k, s in enumerate("AB")
    )

    def tilted(history):
        return {"A": 0.7, "B": 0.3}

    return AdvancedBacktester(tilted, data, 1_000, 0.001)


@pytest.fixture(scope="module")
def report(tester) -> Report:
    return tester.generate_report(tester.run_scenarios(["all"]))


class Words(HTMLParser):
    """Text of a page outside style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.words = "", []

    def handle_starttag(self, tag, attrs):
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.words.append(data)


def text_of(page: str) -> str:
    parser = Words()
    parser.feed(page)
    return " ".join(" ".join(parser.words).split())


def test_the_page_says_what_the_markdown_says_and_more(report):
    text = text_of(report.html)
    for heading in ("Backtest of tilted", "Verdict", "Read this first", "Figures", "Charts",
                    "Scenarios", "Crises", "Stresses", "Bootstrapped paths"):  # fmt: skip
        assert heading in text, heading
    for chart in ("Equity", "Drawdown", "Rolling one-year Sharpe ratio", "Monthly returns",
                  "Sharpe ratio by market and volatility"):  # fmt: skip
        assert chart in text, chart
    for name in ("bull low volatility", "covid 2020", "cost 20bps", "delay 3", "half liquidity",
                 "bootstrap quantile 0.95", "Not covered by the data", "too few days"):  # fmt: skip
        assert name in text, name
    assert "nan" not in text.lower().split()
    assert "nothing beats 1/N" in text
    assert "## Verdict" in report
    assert re.search(
        r"\| sharpe \| -?\d+\.\d+ \| -?\d+\.\d+ to -?\d+\.\d+ \| -?\d+\.\d+ \|", report
    )


def test_every_figure_of_a_run_has_a_heading(tester):
    assert set(tester.run().metrics) <= set(FIGURES)


def test_numbers_on_the_page_are_those_of_the_run(tester, report):
    metrics = tester.run().metrics
    text = text_of(report.html).replace("\u202f", " ").replace("\u2212", "-")
    assert f"Annual return {100 * metrics['annual_return']:.1f} %" in text
    assert f"Sharpe ratio {metrics['sharpe']:.2f}" in text
    low, high = tester.judged().intervals["sharpe"]
    assert f"[{low:.2f}, {high:.2f}]" in text


def test_nothing_is_loaded_from_anywhere(report):
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", report.html)
    assert "@import" not in report.html


def test_a_run_alone_says_what_was_not_asked_for(tester):
    text = text_of(tester.generate_report().html)
    assert "Not asked for: scenarios, crises, stresses, bootstrapped paths" in text


def test_it_is_written_where_it_is_wanted(tester, tmp_path):
    report = tester.generate_report(path=tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == report.html
    assert report.save(tmp_path / "report.md").read_text(encoding="utf-8") == report
    assert "<iframe srcdoc=" in report._repr_html_()
    with pytest.raises(BacktestError, match=r"must end in \.html or \.md"):
        report.save(tmp_path / "report.pdf")


def test_data_of_a_few_days_make_a_page_without_charts():
    days = [dt.datetime(2024, 1, d, tzinfo=dt.UTC) for d in range(1, 5)]
    data = pl.DataFrame({"ts": days, "close": [10.0, 11.0, 10.5, 12.0]})
    report = AdvancedBacktester(lambda history: 1.0, data, decide="day").generate_report()
    assert "Fewer than two weeks of data." in text_of(report.html)


def test_what_a_strategy_is_called_is_escaped(tester):
    data = tester.data

    def evil(history):
        return {"A": 0.5}

    evil.__name__ = "<script>alert(1)</script>"
    assert "<script>alert(1)" not in AdvancedBacktester(evil, data).generate_report().html


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_charts_answer_to_the_pointer_offline(report, tmp_path):
    from playwright.sync_api import sync_playwright

    page_file = report.save(tmp_path / "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
        faults, asked = [], []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        plot = page.locator("#chart-equity .plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip = page.locator("#chart-equity .tip")
        tip.wait_for(state="visible")
        read = tip.inner_text()
        browser.close()
    assert "strategy" in read
    assert "1/N" in read
    assert not faults
    assert asked == [page_file.as_uri()]
