"""One assembled SYNTHETIC report for all tests of the room."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report_frames

from btq_assets.reports.assemble import assemble
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.render import render
from btq_assets.reports.view import ReportView


@pytest.fixture(scope="session")
def report_tables() -> ReportFrames:
    return report_frames.make_frames(520)


@pytest.fixture(scope="session")
def report_context() -> ReportContext:
    return report_frames.make_context()


@pytest.fixture(scope="session")
def report_view(report_tables: ReportFrames, report_context: ReportContext) -> ReportView:
    return assemble(report_tables, report_context)


@pytest.fixture(scope="session")
def report_page(report_view: ReportView) -> str:
    return render(report_view)
