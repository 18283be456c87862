"""What must hold for alternative data beyond the contracts.

Belongs here: checks on the rows about to be written, which may be none. Does not belong here:
statistics over stored tables (see `data_quality`).
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check

#: Quotes of different moments cross now and then; more than this share means columns are mixed up.
_MOST_CROSSED = 0.05
#: Provider's volatilities above this are written in percent.
_HIGHEST_MEDIAN_VOLATILITY = 3.0
_MOST_MISSING = 0.02
_LONGEST_SWEEP_MS = 60_000
#: A tenth and ten times: no daily total moves so far between two days.
_JUMP = 10.0
_WIDEST_MISS, _WIDEST_GAP, _MOST_ARBITRAGE = 0.02, 0.03, 0.1
#: Deltas of each smile of the packaged sample.
_DELTAS = 18


def _not_crossed(context: CheckContext) -> CheckOutcome:
    """Bids lie below asks but for a few quotes of different moments."""
    quoted = context.frame.filter(pl.col("bid").is_not_null() & pl.col("ask").is_not_null())
    crossed = quoted.filter(pl.col("bid") > pl.col("ask"))
    share = crossed.height / max(quoted.height, 1)
    return CheckOutcome(
        "quotes_not_crossed",
        share <= _MOST_CROSSED,
        f"{crossed.height} of {quoted.height} quotes have a bid above their ask"
        + (f", first {crossed['contract_id'][0]}" if crossed.height else ""),
        {"quotes": quoted.height, "crossed": crossed.height},
    )


def _not_expired(context: CheckContext) -> CheckOutcome:
    """No quote is of a contract that had expired."""
    frame = context.frame
    expired = frame.filter(pl.col("expires_at") < pl.col("ts") - timedelta(days=1))
    return CheckOutcome(
        "contracts_not_expired",
        expired.is_empty(),
        f"{expired.height} of {frame.height} quotes are of contracts that had expired"
        + (f", first {expired['contract_id'][0]}" if expired.height else ""),
        {"quotes": frame.height},
    )


def _volatility_unit(context: CheckContext) -> CheckOutcome:
    """Volatilities are fractions, not percent."""
    median = context.frame["iv_provider"].median()
    found = float(median) if isinstance(median, (int, float)) else 0.0
    return CheckOutcome(
        "volatility_is_a_fraction",
        found <= _HIGHEST_MEDIAN_VOLATILITY,
        f"the middle volatility is {found:.3g}: above {_HIGHEST_MEDIAN_VOLATILITY:g} it is in "
        "percent; look at the reader",
        {"median_volatility": found},
    )


def _few_missing(context: CheckContext) -> CheckOutcome:
    """Trades of a contract are numbered without gaps; numbers that are absent were not fetched."""
    spans = context.frame.group_by("dataset", "contract_id").agg(
        there=pl.col("trade_seq").n_unique(),
        span=pl.col("trade_seq").max() - pl.col("trade_seq").min() + 1,
    )
    there, span = int(spans["there"].sum()), int(spans["span"].sum())
    share = 1 - there / span if span else 0.0
    worst = spans.sort(pl.col("span") - pl.col("there")).tail(1)
    return CheckOutcome(
        "few_trades_are_missing",
        share <= _MOST_MISSING,
        f"{span - there} of {span} trades between the first and the last of their contract are absent"
        + (f", most of {worst['contract_id'][0]}" if span > there else ""),
        {"trades": there, "missing": span - there},
    )


def _short_share(context: CheckContext) -> CheckOutcome:
    """About half of what is reported is sold short; far from it, columns are mixed up."""
    frame = context.frame
    total = float(frame["total_volume"].sum())
    share = float(frame["short_volume"].sum()) / total if total else 0.5
    return CheckOutcome(
        "short_share_is_plausible",
        0.1 <= share <= 0.9,
        f"{share:.1%} of the volume is short; it is usually 40 % to 60 %",
        {"rows": frame.height, "short_share": share},
    )


def _late_enough(context: CheckContext) -> CheckOutcome:
    """No week is known before the rule lets it be published."""
    frame = context.frame
    early = frame.filter(
        pl.col("known_at") < pl.col("week").cast(pl.Datetime("us", "UTC")) + timedelta(days=21)
    )
    return CheckOutcome(
        "published_two_weeks_late",
        early.is_empty(),
        f"{early.height} of {frame.height} rows are known less than two weeks after their week"
        + (f", first {early.row(0)[:5]}" if early.height else ""),
        {"rows": frame.height},
    )


def _no_jump(context: CheckContext) -> CheckOutcome:
    """No series moves tenfold from one value to the next."""
    steps = (
        context.frame.sort("dataset", "asset", "metric", "ts")
        .with_columns(
            before=pl.col("value").shift(1).over("dataset", "asset", "metric", order_by="ts")
        )
        .filter((pl.col("value") > 0) & (pl.col("before") > 0))
        .filter(
            (pl.col("value") / pl.col("before") > _JUMP)
            | (pl.col("value") / pl.col("before") < 1 / _JUMP)
        )
    )
    return CheckOutcome(
        "no_tenfold_jump",
        steps.is_empty(),
        f"{steps.height} values are ten times their predecessor, or a tenth of it"
        + (
            f", first {steps['asset'][0]} {steps['metric'][0]} at {steps['ts'][0]:%Y-%m-%d}"
            if steps.height
            else ""
        ),
        {"jumps": steps.height},
    )


OPTION_CHECKS = (
    frame_check(
        "quotes_not_crossed",
        f"At most {_MOST_CROSSED:.0%} of the quotes have a bid above their ask.",
        _not_crossed,
    ),
    frame_check(
        "contracts_not_expired",
        "No quote is of a contract that expired more than a day before.",
        _not_expired,
        blocking=False,
    ),
    frame_check(
        "volatility_is_a_fraction",
        "The provider's volatilities are fractions (0.2), not percent (20).",
        _volatility_unit,
    ),
)
OPTION_TRADE_CHECKS = (
    frame_check(
        "few_trades_are_missing",
        f"At most {_MOST_MISSING:.0%} of the numbers between a contract's first and last trade are "
        "absent.",
        _few_missing,
        blocking=False,
    ),
    frame_check(
        "volatility_is_a_fraction",
        "The provider's volatilities are fractions (0.2), not percent (20).",
        _volatility_unit,
    ),
)
SHORT_VOLUME_CHECKS = (
    frame_check(
        "short_share_is_plausible",
        "Between a tenth and nine tenths of all volume are short sales.",
        _short_share,
        blocking=False,
    ),
)
DARK_POOL_CHECKS = (
    frame_check(
        "published_two_weeks_late",
        "No row is known earlier than two weeks after its week.",
        _late_enough,
    ),
)
ONCHAIN_CHECKS = (
    frame_check(
        "no_tenfold_jump",
        "No series is ten times its predecessor, or a tenth of it, from one value to the next.",
        _no_jump,
        blocking=False,
    ),
)


def _fits_close(context: CheckContext) -> CheckOutcome:
    """Half of the smiles miss their volatilities by at most two points."""
    surfaces = context.frames["core.option_surfaces"]
    median = surfaces["rmse_iv"].median()
    found = float(median) if isinstance(median, (int, float)) else 0.0
    return CheckOutcome(
        "smiles_fit_closely",
        found <= _WIDEST_MISS,
        f"the middle smile misses its volatilities by {found:.2%} (root mean square)",
        {"smiles": surfaces.height, "median_rmse": found},
    )


def _free_of_arbitrage(context: CheckContext) -> CheckOutcome:
    """Most smiles have no negative density and no calendar spread below zero."""
    surfaces = context.frames["core.option_surfaces"]
    bad = surfaces.filter(~pl.col("butterfly_free") | ~pl.col("calendar_free").fill_null(True))
    share = bad.height / max(surfaces.height, 1)
    return CheckOutcome(
        "smiles_free_of_arbitrage",
        share <= _MOST_ARBITRAGE,
        f"{bad.height} of {surfaces.height} smiles allow arbitrage between their quotes or against "
        "the expiry before; columns butterfly_free and calendar_free tell which",
        {
            "smiles": surfaces.height,
            "butterfly": surfaces.filter(~pl.col("butterfly_free")).height,
            "calendar": surfaces.filter(~pl.col("calendar_free").fill_null(True)).height,
        },
    )


def _agrees_with_provider(context: CheckContext) -> CheckOutcome:
    """Recomputed volatilities lie near the provider's."""
    gaps = context.frames["core.option_surfaces"]["mean_iv_gap"].drop_nulls()
    median = gaps.abs().median()
    found = float(median) if isinstance(median, (int, float)) else 0.0
    return CheckOutcome(
        "volatility_agrees_with_provider",
        found <= _WIDEST_GAP,
        f"recomputed volatilities differ from the provider's by {found:.2%} in the middle smile",
        {"smiles_compared": gaps.len(), "median_gap": found},
    )


def _brief(context: CheckContext) -> CheckOutcome:
    frame = context.frame
    long = frame.filter(pl.col("duration_ms") > _LONGEST_SWEEP_MS)
    return CheckOutcome(
        "sweeps_are_brief",
        long.is_empty(),
        f"{long.height} of {frame.height} sweeps last longer than {_LONGEST_SWEEP_MS / 1_000:g} s"
        + (f", first one of {long['contract_id'][0]}" if long.height else "")
        + "; lower sources.option_sweeps.window_ms",
        {"sweeps": frame.height, "long": long.height},
    )


def _five_stocks(context: CheckContext) -> CheckOutcome:
    per_day = context.frame.group_by("underlying", "session", "days").len()
    odd = per_day.filter(pl.col("len") != _DELTAS)
    return CheckOutcome(
        "every_smile_is_whole",
        odd.is_empty(),
        f"{odd.height} of {per_day.height} smiles do not have {_DELTAS} deltas",
        {"smiles": per_day.height},
    )


OPTION_METRIC_CHECKS = (
    frame_check(
        "smiles_fit_closely",
        f"The middle smile misses its volatilities by at most {_WIDEST_MISS:.0%}.",
        _fits_close,
        blocking=False,
    ),
    frame_check(
        "smiles_free_of_arbitrage",
        f"At most {_MOST_ARBITRAGE:.0%} of the smiles have a negative density, or less total "
        "variance than the expiry before.",
        _free_of_arbitrage,
        blocking=False,
    ),
    frame_check(
        "volatility_agrees_with_provider",
        f"Recomputed volatilities differ from the provider's by at most {_WIDEST_GAP:.0%} in the "
        "middle smile.",
        _agrees_with_provider,
        blocking=False,
    ),
)
SWEEP_CHECKS = (
    frame_check(
        "sweeps_are_brief",
        f"No sweep lasts longer than {_LONGEST_SWEEP_MS / 60_000:g} minute: a chain of prints so "
        "long is a busy market, not one order.",
        _brief,
        blocking=False,
    ),
)
SAMPLE_CHECKS = (
    frame_check(
        "every_smile_is_whole",
        f"Each stock, session and maturity has {_DELTAS} deltas.",
        _five_stocks,
    ),
)
