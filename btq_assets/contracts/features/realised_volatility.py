"""Volatility measured with more than closes, and its regression on its own past."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

#: Decays of exponentially weighted averages, in per cent.
EWMA_DECAYS = (90, 97, 99)

_ROUNDING = 1e-9


def _volatility(name: str, description: str) -> Column:
    return number(f"{name}_annual", f"{description}, annualised.", minimum=0)


def _share(name: str, description: str, minimum: float = 0.0) -> Column:
    return number(name, description, minimum=minimum - _ROUNDING, maximum=1 + _ROUNDING)


REALISED_VOLATILITY = family(
    "realised_volatility",
    "Realised volatility of closes, ranges and five-minute bars; jumps, semivariances, HAR terms and forecasts.",
    (
        *(
            _volatility(f"ewma_volatility_{decay}", f"Root of mean squares with decay 0.{decay}")
            for decay in EWMA_DECAYS
        ),
        _volatility("upside_volatility_63", "Root mean square of positive returns of 63 sessions"),
        _share(
            "semivariance_balance_63",
            "Squares of rises less squares of falls over all squares of 63 sessions.",
            -1.0,
        ),
        _volatility("har_close_forecast_1", "Next session's volatility by HAR on absolute returns"),
        _volatility(
            "har_close_forecast_21", "Volatility of the next 21 sessions by HAR on absolute returns"
        ),
        _volatility("yang_zhang_21", "Yang-Zhang volatility of 21 sessions"),
        _volatility("yang_zhang_63", "Yang-Zhang volatility of 63 sessions"),
        _volatility("garman_klass_cross_21", "Garman-Klass volatility of 21 sessions, cross term"),
        _volatility("overnight_volatility_21", "Root mean square of close-to-open returns"),
        _volatility("intraday_volatility_21", "Root mean square of open-to-close returns"),
        _share("overnight_share_21", "Squares from close to open over those of both parts."),
        _volatility("har_range_daily", "Volatility of the session from its range and its gap"),
        _volatility("har_range_weekly", "Mean of that over 5 sessions"),
        _volatility("har_range_monthly", "Mean of that over 22 sessions"),
        _volatility("har_range_forecast_1", "Next session's volatility by HAR on ranges"),
        _volatility("har_range_forecast_21", "Volatility of the next 21 sessions by HAR on ranges"),
        number(
            "range_volatility_of_volatility_63",
            "Coefficient of variation of the session's volatility from ranges over 63 sessions.",
            minimum=0,
        ),
        _volatility("rv_5m_daily", "Realised volatility of the session, five-minute returns"),
        _volatility("rv_5m_weekly", "Mean of that over 5 sessions"),
        _volatility("rv_5m_monthly", "Mean of that over 22 sessions"),
        _volatility("bipower_5m", "Volatility of the session without jumps, bipower variation"),
        number("jump_z_5m", "Ratio statistic of the test for jumps, standard normal without any."),
        _share("jump_share_5m", "Share of jumps in the variance where the test finds one, else 0."),
        _share(
            "semivariance_balance_5m",
            "Squares of rises less squares of falls over all squares of the session.",
            -1.0,
        ),
        _share("overnight_share_5m", "Square of the return overnight over it and the session's."),
        _volatility("har_rv_5m_forecast_1", "Next session's volatility by HAR on realised ones"),
    ),
)
