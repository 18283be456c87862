"""Dagster side of the generated market: thin, no logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.sources.synthetic.checks import CHECKS, LABELLED
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.sources.synthetic.market import SyntheticMarket

_CONFIG = ("sources.synthetic",)
_CODE = ("btq_assets.sources.synthetic", "btq_assets.sources.vintages")


def _asked_for(kind: str = "") -> Callable[[TradingConfig], bool]:
    """Whether the generator is on, and a kind of rows with it."""

    def optional(config: TradingConfig) -> bool:
        settings = config.sources.synthetic
        return settings.enabled and (not kind or bool(getattr(settings, kind)))

    return optional


def _market(step: Step) -> SyntheticMarket:
    from btq_assets.sources.synthetic.market import generate
    from btq_assets.sources.synthetic.settings import spec_of

    return generate(spec_of(step.config.sources.synthetic))


def _label(step: Step, **more: Any) -> dict[str, Any]:
    return {
        "label": "SYNTHETIC: generated from a seed, with known truth",
        "seed": step.config.sources.synthetic.seed,
        **more,
    }


@table_asset(
    outputs=(raw.BARS_SYNTHETIC,),
    config=_CONFIG,
    code=_CODE,
    checks=CHECKS,
    group="raw",
    optional=_asked_for("bars"),
)
def bars_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC bars from a seed, with the faults the configuration plants."""
    import polars as pl

    from btq_assets import plots
    from btq_assets.sources.synthetic.summary import daily_volatility, volume_by_minute

    market = _market(step)
    step.log(f"{market.bars.height:,} SYNTHETIC bars, {market.faults.height:,} planted faults")
    days, volatility = daily_volatility(market)
    return TableOutput(
        pl.concat([market.bars, market.daily_bars]),
        metadata=_label(
            step,
            bars=market.bars.height,
            daily_bars=market.daily_bars.height,
            planted=market.faults["fault"].value_counts(sort=True),
            examples=market.faults.head(8),
        ),
        plots={
            "realised volatility": plots.lines(
                days, volatility, "SYNTHETIC: realised volatility a session", "annual"
            ),
            "volume by minute": plots.lines(
                *volume_by_minute(market), "SYNTHETIC: mean volume by minute", "units"
            ),
        },
    )


@table_asset(
    outputs=(raw.TRADES_SYNTHETIC, raw.QUOTES_SYNTHETIC, raw.BOOK_SYNTHETIC),
    config=_CONFIG,
    code=_CODE,
    checks=CHECKS,
    group="raw",
    optional=_asked_for("ticks"),
)
def ticks_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC trades, best quotes and an order book that belong to the bars."""
    from btq_assets.sources.synthetic.settings import tick_sessions
    from btq_assets.sources.synthetic.ticks import ticks_of

    settings = step.config.sources.synthetic
    ticks = ticks_of(_market(step), tick_sessions(settings), minutes=settings.tick_minutes)
    counts = {
        "trades": ticks.trades.height,
        "quotes": ticks.quotes.height,
        "changes_of_the_book": ticks.book.height,
    }
    step.log(f"SYNTHETIC ticks: {counts}")
    return TableOutput(
        {
            raw.TRADES_SYNTHETIC.table: ticks.trades,
            raw.QUOTES_SYNTHETIC.table: ticks.quotes,
            raw.BOOK_SYNTHETIC.table: ticks.book,
        },
        metadata=_label(step, **counts),
    )


@table_asset(
    outputs=(raw.OPTION_QUOTES_SYNTHETIC,),
    config=_CONFIG,
    code=_CODE,
    checks=CHECKS,
    group="raw",
    optional=_asked_for("options"),
)
def option_quotes_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC option quotes around the prices of a known surface."""
    from btq_assets.sources.synthetic.options import option_quotes
    from btq_assets.sources.synthetic.settings import option_sessions

    sessions = option_sessions(step.config.sources.synthetic)
    quotes = option_quotes(_market(step), sessions).select(raw.OPTION_QUOTES_SYNTHETIC.column_names)
    return TableOutput(quotes, metadata=_label(step, quotes=quotes.height, sessions=len(sessions)))


@table_asset(
    outputs=(raw.ONCHAIN_SYNTHETIC,),
    config=_CONFIG,
    code=_CODE,
    checks=CHECKS,
    group="raw",
    optional=_asked_for("onchain"),
)
def onchain_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC on-chain metrics that follow the volume of their own day."""
    from btq_assets.sources.synthetic.onchain import onchain_metrics

    metrics = onchain_metrics(_market(step))
    return TableOutput(
        metrics, metadata=_label(step, metrics=metrics.group_by("metric").len().sort("metric"))
    )


@table_asset(
    outputs=(raw.DOCUMENTS_SYNTHETIC,),
    config=_CONFIG,
    code=_CODE,
    checks=(LABELLED,),
    group="raw",
    optional=_asked_for("news"),
)
def documents_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC headlines; they move prices only where the configuration plants it."""
    from btq_assets.sources.synthetic.news import documents, headlines
    from btq_assets.sources.synthetic.settings import spec_of

    settings = step.config.sources.synthetic
    news = documents(headlines(spec_of(settings)))
    return TableOutput(
        news,
        metadata=_label(step, documents=news.height, drift_bps=settings.news_drift_bps),
    )


@table_asset(
    outputs=(raw.SYNTHETIC_TRUTH,),
    config=_CONFIG,
    code=_CODE,
    checks=(LABELLED,),
    group="raw",
    optional=_asked_for(),
)
def synthetic_truth(step: Step) -> TableOutput:
    """List what was planted in the SYNTHETIC market; for tests and reports alone."""
    from btq_assets.sources.synthetic.settings import option_sessions
    from btq_assets.sources.synthetic.truth import truth

    settings = step.config.sources.synthetic
    planted = truth(
        _market(step),
        bars=settings.bars,
        news=settings.news,
        option_sessions=option_sessions(settings) if settings.options else (),
    )
    return TableOutput(
        planted,
        metadata=_label(step, planted=planted.group_by("plant").len().sort("plant")),
    )
