"""Table of what trading cost."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import RUN_ID, STRATEGY, SYMBOL, number, stamp, text

TRANSACTION_COSTS = TableContract(
    layer="execution",
    name="transaction_costs",
    description="Implementation shortfall of every order of the backtests, filled or not, split into its parts. Currency; positive numbers cost money.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        stamp("decided_at", "Bar whose close the decision read."),
        stamp(
            "filled_at", "Bar of the fill, or at which an order of which nothing was filled ended."
        ),
        number("shares", "Signed number of (adjusted) shares filled; 0 for none.", nullable=False),
        number(
            "unfilled_shares",
            "Signed number ordered and not filled, 0 for none; null where the order had no size for want of a price.",
        ),
        number(
            "value",
            "Absolute shares times fill price before costs.",
            nullable=False,
            minimum=0,
        ),
        number("decision_price", "Adjusted close of the deciding bar; null where it is missing."),
        number(
            "arrival_price", "Adjusted open of the bar of the fill; null where only closes exist."
        ),
        number("fill_price", "Price before costs; null where nothing was filled.", minimum=0),
        stamp(
            "horizon_at",
            "Until when unfilled shares are missed: the run's next decision, or its last bar; null where all was filled.",
            nullable=True,
        ),
        number("horizon_price", "Adjusted close then; null where it is missing."),
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
            "unfilled_shares * (horizon price - decision price), 0 where all was filled; null where one of them is unknown.",
        ),
        number(
            "shortfall_cost",
            "Paid less paper: the sum of waiting, spread, impact, commission and opportunity, of which null ones are not counted.",
        ),
        number(
            "shortfall_bps",
            "Shortfall over the paper value, absolute shares ordered times decision price, basis points.",
        ),
        number("arrival_cost", "What was paid beyond the arrival price; null without one."),
        number(
            "vwap_cost", "What was paid beyond the VWAP, commission left out; null without one."
        ),
        text("unknown", "Which parts are null, and why; empty when none."),
    ),
    key=("run_id", "symbol", "filled_at"),
)
