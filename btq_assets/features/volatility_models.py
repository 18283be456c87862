"""Volatility models: GARCH, GJR-GARCH and EGARCH fitted on the past, forecasts of the future.

Belongs here: when models are fitted, on what, and the columns that come of it. Does not belong
here: likelihoods and their maximum (`kernels.garch`), estimators without a model (`volatility`,
`realised_volatility`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import GarchSection, TradingConfig
from btq_assets.contracts.features.volatility_models import FIT_STATES, MODELS
from btq_assets.features.definitions import (
    HISTORY,
    KEY,
    SESSIONS_PER_YEAR,
    Feature,
    prepare,
    undefined_to_null,
)
from btq_assets.features.tails import Reach, with_tail

#: Sessions of the longer forecast.
HORIZON = 21
#: Annualised volatility beyond which a forecast is no forecast: 5,000 %.
EXPLODED_ABOVE = 50.0
_PARTS = ("volatility_1_annual", "volatility_21_annual", "surprise")

#: What each model says of ``s = sigma^2``; ``e = r - mu`` and ``z = e / sigma``.
_NEXT = {
    "garch": "s[t+1] = omega + alpha e[t]^2 + beta s[t]",
    "gjr": "s[t+1] = omega + (alpha + gamma 1(e[t] < 0)) e[t]^2 + beta s[t]",
    "egarch": "ln s[t+1] = omega + alpha (|z[t]| - sqrt(2/pi)) + gamma z[t] + beta ln s[t]",
}
_AHEAD = {
    "garch": "E s[t+h] = omega + (alpha + beta) E s[t+h-1]",
    "gjr": "E s[t+h] = omega + (alpha + gamma/2 + beta) E s[t+h-1]",
    "egarch": "E s[t+h] = s[t+1]^(beta^(h-1)) times the product over j < h-1 of "
    "exp(beta^j omega) E exp(beta^j (alpha (|z| - sqrt(2/pi)) + gamma z))",
}
_SOURCE = {
    "garch": "Bollerslev (1986), eq. 1",
    "gjr": "Glosten, Jagannathan and Runkle (1993)",
    "egarch": "Nelson (1991), eq. 2.1 and A1.2",
}


def features_for(settings: GarchSection) -> tuple[Feature, ...]:
    """Definitions for a schedule of fits."""
    span = "all returns so far"
    if settings.window_sessions is not None:
        span = f"the last {settings.window_sessions} returns"
    fitted = (
        f"parameters by normal maximum likelihood on {span}, after return "
        f"{settings.min_fit_sessions} and every {settings.refit_every_sessions} from there"
    )
    found = []
    for model in MODELS:
        formulas = (
            (f"sqrt(252 s[t+1]), {_NEXT[model]}; {fitted}", "fraction per root year"),
            (
                f"sqrt(252 mean of E s[t+h], h = 1 to {HORIZON}), {_AHEAD[model]}",
                "fraction per root year",
            ),
            ("(r[t] - mu) / sqrt(s[t])", "standard deviations"),
        )
        found += [
            Feature(
                f"{model}_{part}",
                "volatility_models",
                formula,
                _SOURCE[model],
                unit,
                settings.min_fit_sessions,
                ("adj_close",),
                recursive=True,
            )
            for part, (formula, unit) in zip(_PARTS, formulas, strict=True)
        ]
    return tuple(found)


FEATURES = features_for(GarchSection())


def compute(
    bars: pl.DataFrame, settings: GarchSection | None = None, since: datetime | None = None
) -> pl.DataFrame:
    """Compute the forecasts of every symbol.

    Symbols are fitted side by side in threads: the compiled code holds no lock, so threads do what
    processes would, and no result depends on their number.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    settings
        Schedule and window of the fits.
    since
        Sessions before it are left unfinished, for those who will not read them, and symbols that
        have none from then on are left out. A fit reads all returns up to it, but no other fit.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.volatility_models``: one per bar, sorted by universe, symbol and time.
    """
    settings = settings or GarchSection()
    if since is not None:
        bars = with_tail(bars, since, Reach(bars.height + 1))
    frame = prepare(bars).select(*KEY, HISTORY, "_r")
    lengths = frame.group_by(HISTORY, maintain_order=True).len()["len"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    known = np.zeros(frame.height, bool) if since is None else (frame["ts"] < since).to_numpy()
    returns = frame["_r"].to_numpy()
    values = np.full((len(MODELS) * len(_PARTS), frame.height), np.nan)
    states = np.zeros((len(MODELS), frame.height), np.int8)

    def work(number: int) -> None:
        # The first bar of a history has no return.
        rows = slice(starts[number] + 1, starts[number + 1])
        # What exploded at the session before decides on a surprise.
        shown = max(int(known[rows].sum()) - 1, 0)
        _one_symbol(returns[rows], settings, values[:, rows], states[:, rows], shown)

    # Longest first, so that no thread ends with the longest one alone.
    order = np.argsort(-lengths, kind="stable").tolist()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for done in [pool.submit(work, number) for number in order]:
            done.result()
    names = [f"{model}_{part}" for model in MODELS for part in _PARTS]
    words = pl.Series(FIT_STATES)
    return undefined_to_null(
        frame.select(KEY).with_columns(
            *(pl.Series(name, values[k]) for k, name in enumerate(names)),
            *(
                words.gather(states[k].astype(np.uint32)).alias(f"{model}_fit")
                for k, model in enumerate(MODELS)
            ),
        )
    )


def _one_symbol(
    returns: np.ndarray,
    settings: GarchSection,
    values: np.ndarray,
    states: np.ndarray,
    shown: int = 0,
) -> None:
    """Fill a symbol's rows, ``(9, T)`` values and ``(3, T)`` states, from its ``(T,)`` returns.

    Those before `shown` stay empty.
    """
    from btq_assets.features.kernels import garch, garch_paths

    kinds = {"garch": garch.GARCH, "gjr": garch.GJR, "egarch": garch.EGARCH}
    for k, model in enumerate(MODELS):
        found, states[k] = garch_paths.paths(
            kinds[model],
            returns,
            first_fit=settings.min_fit_sessions,
            every=settings.refit_every_sessions,
            window=settings.window_sessions or 0,
            keep_previous=settings.failed_fit == "previous",
            horizon=HORIZON,
            shown=shown,
        )
        first = k * len(_PARTS)
        values[first : first + 2] = np.sqrt(SESSIONS_PER_YEAR * found[:2])
        values[first + 2] = found[2]
        _leave_out_exploded(values[first : first + 3], states[k])


def _leave_out_exploded(values: np.ndarray, states: np.ndarray) -> None:
    """Null what the recursion says after a shock it has no scale for, and mark the row.

    EGARCH moves the logarithm of the variance by the shock in standard deviations: after a peg
    broke at 180 of them (EURCHF, 15 January 2015) its variance is a number without a meaning.

    Parameters
    ----------
    values
        ``(3, T)`` forecasts and surprise; changed in place.
    states
        ``(T,)`` positions in `FIT_STATES`; changed in place.
    """
    exploded = np.nan_to_num(values[:2], nan=0.0, posinf=np.inf).max(axis=0) > EXPLODED_ABOVE
    values[:2, exploded] = np.nan
    states[exploded] = FIT_STATES.index("exploded")
    # The next surprise would be counted in that volatility.
    values[2, 1:][exploded[:-1]] = np.nan


def fits(frame: pl.DataFrame) -> pl.DataFrame:
    """Sessions by model and by the fit behind them, of rows that `compute` returned."""
    return pl.concat(
        frame.group_by("universe", fit=pl.col(f"{model}_fit"))
        .agg(sessions=pl.len(), symbols=pl.col("symbol").n_unique())
        .select(pl.lit(model).alias("model"), "universe", "fit", "sessions", "symbols")
        for model in MODELS
    ).sort("model", "universe", "fit")


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return features_for(config.features.garch)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config.features.garch)


def compute_since(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The same, for those who will read rows at or after `since` only."""
    return compute(inputs["bars"], config.features.garch, since)
