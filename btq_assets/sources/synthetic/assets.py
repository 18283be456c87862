"""Dagster side of the generated market: thin, no logic."""

from __future__ import annotations

from btq_assets.contracts import raw
from btq_assets.sources.synthetic.checks import CHECKS
from btq_assets.warehouse import Step, TableOutput, table_asset


@table_asset(
    outputs=(raw.BARS_SYNTHETIC,),
    config=("sources.synthetic",),
    code=("btq_assets.sources.synthetic", "btq_assets.sources.vintages"),
    checks=CHECKS,
    group="raw",
    optional=lambda config: config.sources.synthetic.enabled,
)
def bars_synthetic(step: Step) -> TableOutput:
    """Generate SYNTHETIC one-minute bars from a seed, with the faults the configuration plants."""
    from btq_assets import plots
    from btq_assets.sources.synthetic.market import generate
    from btq_assets.sources.synthetic.settings import spec_of
    from btq_assets.sources.synthetic.summary import daily_volatility, volume_by_minute

    market = generate(spec_of(step.config.sources.synthetic))
    step.log(f"{market.bars.height:,} SYNTHETIC bars, {market.faults.height:,} planted faults")
    days, volatility = daily_volatility(market)
    return TableOutput(
        market.bars,
        metadata={
            "label": "SYNTHETIC: generated from a seed, with known truth",
            "seed": market.spec.seed,
            "planted": market.faults["fault"].value_counts(sort=True),
            "examples": market.faults.head(8),
        },
        plots={
            "realised volatility": plots.lines(
                days, volatility, "SYNTHETIC: realised volatility a session", "annual"
            ),
            "volume by minute": plots.lines(
                *volume_by_minute(market), "SYNTHETIC: mean volume by minute", "units"
            ),
        },
    )
