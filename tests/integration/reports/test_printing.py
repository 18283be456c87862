"""The report on paper: a PDF of the page, or an error that says what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import report_frames

from btq_assets import __main__ as commands
from btq_assets import printing
from btq_assets.reports.assemble import assemble
from btq_assets.reports.render import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "risk_report.html"
    file.write_text("<!doctype html><title>t</title><p>text</p>")
    return file


def fake_browser(tmp_path: Path, script: str) -> str:
    file = tmp_path / "browser"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_the_report_becomes_a_pdf_that_says_the_same(tmp_path: Path) -> None:
    from pypdf import PdfReader

    view = assemble(report_frames.make_frames(520), report_frames.make_context())
    file = tmp_path / "risk_report.html"
    file.write_text(render(view))
    made = printing.print_pdf(file, tmp_path / "risk_report.pdf")
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(made).pages]
    assert len(pages) > 5
    assert view.verdict.headline in pages[0]
    text = " ".join(pages)
    for section in view.sections:
        assert section.title in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["risk_report.html", "risk_report.pdf"]


def test_without_a_browser_the_error_says_what_to_install(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(printing.PrintingError, match=r"none of chromium.*apt install chromium"):
        printing.print_pdf(page, page.with_suffix(".pdf"))
    with pytest.raises(printing.PrintingError, match="lynx is not a program here"):
        printing.print_pdf(page, page.with_suffix(".pdf"), "lynx")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo broken >&2; exit 3", r"made no PDF .*status 3, it said: broken"),
        ('for a in "$@"; do case $a in --print-to-pdf=*) echo html > "${a#*=}";; esac; done',
         "made no PDF"),
        ("exec sleep 60", "did not print .* in 1 s"),
    ],
)  # fmt: skip
def test_a_browser_that_fails_leaves_an_earlier_pdf(
    page: Path, tmp_path: Path, script: str, says: str
) -> None:
    target = tmp_path / "risk_report.pdf"
    target.write_bytes(b"%PDF-before")
    with pytest.raises(printing.PrintingError, match=says):
        printing.print_pdf(page, target, fake_browser(tmp_path, script), timeout_s=1)
    assert target.read_bytes() == b"%PDF-before"


def test_the_command_says_where_and_prints_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BTQ_WAREHOUSE__PATH", str(tmp_path / "data"))
    assert commands.main(["report"]) == 1
    assert "does not exist yet: `make run` makes it" in capsys.readouterr().err
    folder = tmp_path / "data" / "reports"
    folder.mkdir(parents=True)
    (folder / "risk_report.html").write_text("<p>x</p>")
    assert commands.main(["report"]) == 0
    assert capsys.readouterr().out.strip().endswith("risk_report.html")
    script = 'for a in "$@"; do case $a in --print-to-pdf=*) echo %PDF-1 > "${a#*=}";; esac; done'
    chosen = ["report", "--pdf", "--browser", fake_browser(tmp_path, script)]
    assert commands.main(chosen) == 0
    assert (folder / "risk_report.pdf").read_text() == "%PDF-1\n"
    assert commands.main(["report", "--pdf", "--browser", "lynx"]) == 1
    assert "lynx" in capsys.readouterr().err
