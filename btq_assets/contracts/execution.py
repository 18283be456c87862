"""Table of what trading cost."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import RUN_ID, STRATEGY, SYMBOL, number, stamp, text

TRANSACTION_COSTS = TableContract(
    layer="execution",
    name="transaction_costs",
    description="Implementation shortfall of every order of the backtests that was filled, split into its parts. Currency; positive numbers cost money.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        stamp("decided_at", "Bar whose close the decision read."),
        stamp("filled_at", "Bar of the fill."),
        number("shares", "Signed number of (adjusted) shares.", nullable=False),
        number(
            "value",
            "Absolute shares times fill price before costs.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number("decision_price", "Adjusted close of the deciding bar; null where it is missing."),
        number(
            "arrival_price", "Adjusted open of the bar of the fill; null where only closes exist."
        ),
        number("fill_price", "Price before costs.", nullable=False, minimum=0),
        number(
            "vwap_price",
            "Mean of high, low and close of the bar of the fill, the stand-in for its VWAP on bars; null where high or low is unknown.",
        ),
        number(
            "waiting_cost", "shares * (fill price - decision price): delay and timing together."
        ),
        number(
            "delay_cost",
            "shares * (arrival price - decision price); null without an arrival price.",
        ),
        number(
            "timing_cost", "shares * (fill price - arrival price); null without an arrival price."
        ),
        number("spread_cost", "Half-spread paid.", nullable=False, minimum=0),
        number("impact_cost", "Impact paid; null where volume is unknown, and then not charged."),
        number("commission", "Commission paid.", nullable=False),
        number(
            "opportunity_cost",
            "Unfilled shares * (last price - decision price); null: fills alone do not say what was not filled.",
        ),
        number(
            "shortfall_cost",
            "Paid less paper: the sum of waiting, spread, impact, commission and opportunity, of which null ones are not counted.",
        ),
        number(
            "shortfall_bps", "Shortfall over absolute shares times decision price, basis points."
        ),
        number("arrival_cost", "What was paid beyond the arrival price; null without one."),
        number(
            "vwap_cost", "What was paid beyond the VWAP, commission left out; null without one."
        ),
        text("unknown", "Which parts are null, and why; empty when none."),
    ),
    key=("run_id", "symbol", "filled_at"),
)
