"""What a reader must know before any number: every skip, fallback, empty family and quick setting.

Belongs here: the order things are said in, and the banner. Does not belong here: finding them (`run`,
`data`, `synthetic`, `evaluation`), how they are laid out.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.reports.caveats.data import (
    of_refused_rows,
    of_repairs,
    of_the_data,
    of_undated_sectors,
)
from btq_assets.reports.caveats.evaluation import (
    null_families,
    of_the_evaluation,
    of_the_features,
    of_the_risk,
)
from btq_assets.reports.caveats.run import of_the_run, switched_off
from btq_assets.reports.caveats.synthetic import of_the_generated_market
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Caveat

__all__ = ["QUICK_BANNER", "SYNTHETIC_BANNER", "banner", "caveats", "null_families"]

QUICK_BANNER = "quick: no verdict on deep models"
SYNTHETIC_BANNER = "SYNTHETIC: every price is generated"


def caveats(frames: ReportFrames, context: ReportContext) -> tuple[Caveat, ...]:
    """Everything the report has to say before its first number, grouped."""
    return (
        *of_the_generated_market(frames, context),
        *of_undated_sectors(frames, context),
        *of_the_run(frames, context),
        *of_the_data(frames, context),
        *of_the_features(frames, context),
        *of_the_evaluation(frames, context),
        *of_the_risk(frames),
        *of_refused_rows(frames),
        *of_repairs(frames),
        *switched_off(frames, context),
    )


def banner(config: TradingConfig) -> str:
    """What must not be overlooked, for the head of the page; empty where nothing is."""
    said = {
        SYNTHETIC_BANNER: config.universe.main == raw.SYNTHETIC_UNIVERSE,
        QUICK_BANNER: config.profile == "quick",
    }
    return " · ".join(text for text, applies in said.items() if applies)
