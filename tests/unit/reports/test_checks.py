"""Each examination of the page fails on a page it must refuse."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from btq_assets.contracts.checks import specs_of
from btq_assets.reports import checks
from btq_assets.reports.view import Caveat, ReportView


def failed(html: str, view: ReportView, families: tuple[str, ...] = ()) -> list[str]:
    return [answer.name for answer in checks.examine(html, view, families) if not answer.passed]


def test_the_page_passes_and_every_declared_check_is_answered(
    report_page: str, report_view: ReportView
) -> None:
    assert failed(report_page, report_view, ("microstructure", "macro")) == []
    declared = [spec.name for spec in specs_of(checks.CHECKS)]
    assert [answer.name for answer in checks.examine(report_page, report_view, ())] == declared
    assert all(spec.blocking for spec in specs_of(checks.CHECKS))
    assert len(report_page.encode()) < 8_000_000


@pytest.mark.parametrize(
    "broken",
    [
        '<img src="https://example.org/a.png">',
        '<script src="//cdn.example.org/plotly.js"></script>',
        '<link rel="stylesheet" href="style.css">',
        '<a href="https://example.org">x</a>',
        '<p style="background:url(http://example.org/a.png)">x</p>',
        "<style>@import 'x.css';</style>",
        "<script>fetch('/x')</script>",
        '<img srcset="a.png 2x">',
    ],
)
def test_a_page_that_loads_something_fails(
    report_page: str, report_view: ReportView, broken: str
) -> None:
    assert failed(report_page.replace("</main>", broken + "</main>"), report_view) == [
        checks.OFFLINE
    ]


@pytest.mark.parametrize(
    "broken",
    ["nan", "nan %", "None", "[-inf, 3]", "NaT", "{{ value }}", "{% if %}", "[object Object]"],
)
def test_a_page_with_loose_ends_fails(
    report_page: str, report_view: ReportView, broken: str
) -> None:
    page = report_page.replace("</main>", f"<p>{broken}</p></main>")
    assert failed(page, report_view) == [checks.FINISHED]
    drawn = report_page.replace("</main>", '<svg><path d="M0 nan"/></svg></main>')
    assert failed(drawn, report_view) == [checks.FINISHED]


@pytest.mark.parametrize(
    "fine", ["None of them", "finance", "inflation", "nano", "Nancy", "inf{x: F(x) >= p}"]
)
def test_ordinary_words_are_no_loose_ends(
    report_page: str, report_view: ReportView, fine: str
) -> None:
    assert failed(report_page.replace("</main>", f"<p>{fine}</p></main>"), report_view) == []


def test_a_page_that_does_not_open_with_its_verdict_fails(
    report_page: str, report_view: ReportView
) -> None:
    article = re.search(r'<article class="verdict.*?</article>', report_page, re.DOTALL)
    assert article is not None
    moved = report_page.replace(article.group(), "").replace(
        "<footer>", article.group() + "<footer>"
    )
    for page in (
        moved,
        report_page.replace(article.group(), ""),
        report_page.replace(report_view.verdict.headline, "All is well."),
        report_page.replace("at least 14 trials", "many trials"),
    ):
        assert failed(page, report_view) == [checks.OPENS_WITH_VERDICT]


def test_a_verdict_without_trials_fails(report_page: str, report_view: ReportView) -> None:
    uncounted = replace(report_view, verdict=replace(report_view.verdict, n_trials=0))
    page = report_page.replace("at least 14 trials", "at least 0 trials")
    assert failed(page, uncounted) == [checks.OPENS_WITH_VERDICT]


def test_a_lost_caveat_fails(report_page: str, report_view: ReportView) -> None:
    lost = report_view.caveats[3].text
    assert failed(report_page.replace(lost, "fine"), report_view) == [checks.NAMES_CAVEATS]
    more = replace(report_view, caveats=(*report_view.caveats, Caveat("g", "never shown")))
    assert failed(report_page, more) == [checks.NAMES_CAVEATS]
    assert failed(report_page, replace(report_view, caveats=())) == [checks.NAMES_CAVEATS]


def test_an_unnamed_null_family_fails(report_page: str, report_view: ReportView) -> None:
    assert failed(report_page, report_view, ("technical",)) == [checks.NAMES_CAVEATS]
