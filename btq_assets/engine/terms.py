"""What orders pay and must obey: costs, instruments, the account, as settings.

Belongs here: settings, their bounds, and the table the compiled functions read. Does not belong
here: charging anything (see `fill_kernel`, `account_kernel`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from btq_assets.engine.codes import ASSET_DTYPE
from btq_assets.engine.costs import BPS, CostModel
from btq_assets.engine.errors import EngineError

#: One number for all assets, or one per asset.
PerAsset = float | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class OrderCosts:
    """Costs of orders. Each setting is one number or one per asset.

    A fill of ``q`` shares at price ``p`` before costs has value ``v = q p multiplier``; ``V`` and
    ``sigma`` are the daily volume in shares and the daily volatility.

    =============================  ==========================================================
    taker_bps, maker_bps           commission on executed value; a maker's may be negative
    per_share                      commission per share
    minimum_commission             per order, in the currency of the asset
    half_spread_bps                ``v * rate``; quotes bring their own; auctions pay none
    slippage_bps                   ``v * rate``
    impact_coefficient             square root: ``v * coefficient * sigma * sqrt(q / V)``
    temporary_impact               eta in ``v * eta * sigma * (q / V) ** beta``
    temporary_exponent             beta
    permanent_impact               moves all later prices by ``gamma * sigma * q / V``; the
                                   fill itself pays half of it
    fx_bps                         on cash converted from the currency of the asset
    liquidation_bps                on the value of a forced fill, on top of everything else
    =============================  ==========================================================

    Square root: Torre (1997), *BARRA Market Impact Model Handbook*. Temporary and permanent:
    Almgren and Chriss (2000), "Optimal execution of portfolio transactions", eqs. 5 to 7; exponent
    3/5 and coefficients 0.142 and 0.314 estimated by Almgren, Thum, Hauptmann and Li (2005).

    ``tiers`` replaces `taker_bps` and `maker_bps` by rows of (value traded this UTC month from
    which it holds, taker bps, maker bps), the first from zero.
    """

    taker_bps: PerAsset = 0.0
    maker_bps: PerAsset = 0.0
    per_share: PerAsset = 0.0
    minimum_commission: PerAsset = 0.0
    half_spread_bps: PerAsset = 0.0
    slippage_bps: PerAsset = 0.0
    impact_coefficient: PerAsset = 0.0
    temporary_impact: PerAsset = 0.0
    temporary_exponent: PerAsset = 0.6
    permanent_impact: PerAsset = 0.0
    fx_bps: PerAsset = 0.0
    liquidation_bps: PerAsset = 0.0
    tiers: tuple[tuple[float, float, float], ...] = ()

    @classmethod
    def of(cls, costs: CostModel) -> OrderCosts:
        """The same costs as the target-weight engine charges; its half-spread must be one number.

        Raises
        ------
        EngineError
            The half-spread is given by bar: give it to the stream as `half_spread` instead.
        """
        if np.ndim(costs.half_spread_bps):
            raise EngineError(
                "half_spread_bps is given by bar: put it into the stream as half_spread"
            )
        return cls(
            taker_bps=costs.commission_bps,
            maker_bps=costs.commission_bps,
            per_share=costs.commission_per_share,
            half_spread_bps=float(costs.half_spread_bps),
            impact_coefficient=costs.impact_coefficient,
        )

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name == "tiers":
                continue
            values = np.asarray(getattr(self, field.name), dtype=float)
            low = -1e4 if field.name == "maker_bps" else 0.0
            if not np.all(np.isfinite(values)) or np.any(values < low):
                raise EngineError(f"{field.name} = {getattr(self, field.name)!r}: needs >= {low:g}")
            if field.name.endswith("_bps") and np.any(values >= 1e4):
                raise EngineError(f"{field.name} must stay below 10,000 basis points")
        starts = [row[0] for row in self.tiers]
        if self.tiers and (starts[0] != 0 or starts != sorted(set(starts))):
            raise EngineError(f"tiers start at {starts}: they must rise from zero")

    def tier_table(self) -> np.ndarray:
        """``float64[n, 3]``: value from which a tier holds, taker and maker fraction."""
        table = np.array(self.tiers, dtype=float).reshape(-1, 3)
        table[:, 1:] *= BPS
        return table


@dataclass(frozen=True)
class Instruments:
    """What is traded. Each setting is one number or one per asset.

    Attributes
    ----------
    lot_size
        Orders and partial fills are whole multiples; 0 allows fractions.
    min_shares, min_value
        Smallest order, shares and currency; a partial fill smaller than `min_shares` waits.
    multiplier
        Shares per contract.
    margined
        Futures and perpetuals: gains are settled daily in cash, nothing is borrowed to hold them.
    currency
        Row of the currency table of the stream; 0 is the currency of the account.
    participation
        Largest share of the volume of an event that orders may take; infinity: no limit.
    """

    lot_size: PerAsset = 0.0
    min_shares: PerAsset = 0.0
    min_value: PerAsset = 0.0
    multiplier: PerAsset = 1.0
    margined: bool | Sequence[bool] | np.ndarray = False
    currency: int | Sequence[int] | np.ndarray = 0
    participation: PerAsset = np.inf

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.asarray(getattr(self, field.name), dtype=float)
            positive = field.name in ("multiplier", "participation")
            if np.any(np.isnan(values)) or np.any(values < 0) or (positive and np.any(values == 0)):
                raise EngineError(
                    f"{field.name} = {getattr(self, field.name)!r}: needs "
                    f"{'> 0' if positive else '>= 0'}"
                )


@dataclass(frozen=True)
class Account:
    """Money and its price.

    Attributes
    ----------
    initial_cash
        Currency of the account, > 0.
    initial_margin
        Equity needed per value of a new position; 1: no leverage, 0.5: twice equity. A number or
        one per asset.
    maintenance_margin
        Below this share of gross value everything is liquidated at the next event of each asset;
        0: never.
    cash_rate, debit_rate, borrow_rate
        Per year: earned on free cash, paid on borrowed cash, paid on short value (a number or one
        per asset).
    day_count
        Days of a year for the three.
    on_short_cash
        An order that margin does not cover is refused (``"reject"``) or cut to what it covers
        (``"cut"``). ``"scale"`` cuts all buys of a tick in the same proportion; what a buy takes
        to close a short stays whole, and a sell is cut by itself.
    """

    initial_cash: float
    initial_margin: PerAsset = 1.0
    maintenance_margin: PerAsset = 0.0
    cash_rate: float = 0.0
    debit_rate: float = 0.0
    borrow_rate: PerAsset = 0.0
    day_count: float = 365.0
    on_short_cash: Literal["reject", "cut", "scale"] = "reject"

    def __post_init__(self) -> None:
        if not np.isfinite(self.initial_cash) or self.initial_cash <= 0:
            raise EngineError(f"initial_cash = {self.initial_cash!r} must be positive")
        if self.on_short_cash not in ("reject", "cut", "scale"):
            raise EngineError(f"on_short_cash = {self.on_short_cash!r}: reject, cut or scale")
        for name in ("initial_margin", "maintenance_margin", "borrow_rate", "day_count"):
            values = np.asarray(getattr(self, name), dtype=float)
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise EngineError(f"{name} = {getattr(self, name)!r}: needs a number >= 0")
        if not np.isfinite(self.cash_rate) or not np.isfinite(self.debit_rate):
            raise EngineError("cash_rate and debit_rate must be numbers")
        if self.day_count == 0 or np.any(np.asarray(self.initial_margin) == 0):
            raise EngineError("day_count and initial_margin must be above 0")
        if np.any(np.asarray(self.maintenance_margin) > np.asarray(self.initial_margin)):
            raise EngineError("maintenance_margin must not be above initial_margin")


#: Field of a row of terms: the setting it comes from, and its unit.
_FIELDS = {
    "taker": ("taker_bps", BPS),
    "maker": ("maker_bps", BPS),
    "per_share": ("per_share", 1.0),
    "minimum": ("minimum_commission", 1.0),
    "half_spread": ("half_spread_bps", BPS),
    "slippage": ("slippage_bps", BPS),
    "square_root": ("impact_coefficient", 1.0),
    "temporary": ("temporary_impact", 1.0),
    "exponent": ("temporary_exponent", 1.0),
    "permanent": ("permanent_impact", 1.0),
    "fx_cost": ("fx_bps", BPS),
    "liquidation_fee": ("liquidation_bps", BPS),
    "lot": ("lot_size", 1.0),
    "min_shares": ("min_shares", 1.0),
    "min_value": ("min_value", 1.0),
    "multiplier": ("multiplier", 1.0),
    "margined": ("margined", 1.0),
    "currency": ("currency", 1.0),
    "participation": ("participation", 1.0),
    "initial_margin": ("initial_margin", 1.0),
    "maintenance": ("maintenance_margin", 1.0),
    "borrow": ("borrow_rate", 1.0),
}


def asset_table(
    n_assets: int,
    costs: OrderCosts | None = None,
    instruments: Instruments | None = None,
    account: Account | None = None,
) -> np.ndarray:
    """All per-asset settings as the compiled functions read them, and empty holdings.

    Returns
    -------
    structured array
        `codes.ASSET_DTYPE`, one row per asset.

    Raises
    ------
    EngineError
        A setting has another number of assets.
    """
    sources = (costs or OrderCosts(), instruments or Instruments(), account or Account(1.0))
    table = np.zeros(n_assets, dtype=ASSET_DTYPE)
    for column, (name, unit) in _FIELDS.items():
        given = next(getattr(source, name) for source in sources if hasattr(source, name))
        values = np.asarray(given, dtype=float) * unit
        if values.ndim and values.shape != (n_assets,):
            raise EngineError(f"{name} has shape {values.shape}; there are {n_assets} assets")
        table[column] = values
    table["rate"] = table["factor"] = 1.0
    table["mark"] = np.nan
    table["first"] = table["last"] = -1
    return table
