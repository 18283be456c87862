"""Tables of the loop on paper."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import STRATEGY, SYMBOL, TS, UNIVERSE, number, stamp, text

_HEAD = (
    text(
        "mode", "Whether bars came as they happened or from storage.", allowed=("paper", "replay")
    ),
    text("account", "Paper account."),
    STRATEGY,
    UNIVERSE,
)
_CLIENT_ID = text("client_id", "Name of the order: the same decision, the same name.")

ORDERS = TableContract(
    layer="execution",
    name="orders",
    description="Every order the paper loop decided, as its journal has it. No order ever leaves this house.",
    columns=(
        *_HEAD,
        _CLIENT_ID,
        text("parent_id", "Order this one is a part of, sent to one venue; empty otherwise."),
        text("venue", "Where it was routed; empty with a single venue."),
        SYMBOL,
        stamp("decided_at", "End of the bar the decision read."),
        text("kind", "Kind of order, as the engine names it."),
        number("quantity", "Signed shares asked for, sells negative.", nullable=False),
        number("reference_price", "Price the decision saw.", minimum=0, exclusive_minimum=True),
        text(
            "state",
            "Where the order is.",
            allowed=(
                "new",
                "accepted",
                "partially_filled",
                "filled",
                "cancelled",
                "rejected",
                "expired",
            ),
        ),
        number("filled", "Signed shares filled.", nullable=False),
        number("average_price", "Mean price before costs.", minimum=0, exclusive_minimum=True),
        number("cost", "Commission, spread, slippage and impact so far.", nullable=False),
        text("reason", "Why it was cancelled, rejected or expired; empty otherwise."),
        stamp("updated_at", "Bar of the last event."),
    ),
    key=("mode", "account", "client_id"),
)

FILLS = TableContract(
    layer="execution",
    name="fills",
    description="Every fill of the paper broker, by the engine's own fill model.",
    columns=(
        *_HEAD,
        _CLIENT_ID,
        text("fill_id", "Unique within the order."),
        text("venue", "Where it traded; empty with a single venue."),
        SYMBOL,
        stamp("filled_at", "End of the bar it traded in; on ticks, when it traded."),
        number("quantity", "Signed shares.", nullable=False),
        number("price", "Before costs.", nullable=False, minimum=0, exclusive_minimum=True),
        number("commission", "Currency.", nullable=False),
        number("spread_cost", "Currency.", nullable=False),
        number("slippage_cost", "Currency.", nullable=False),
        number("impact_cost", "Currency; null where it should be charged and could not."),
        text("liquidity", "taker, maker or auction."),
    ),
    key=("mode", "account", "client_id", "fill_id"),
)

ACCOUNT = TableContract(
    layer="execution",
    name="account",
    description="Value of the paper account after each bar, and what stopped new orders.",
    columns=(
        *_HEAD,
        TS,
        number("equity", "Cash and holdings.", nullable=False),
        number("cash", "Currency.", nullable=False),
        number("net", "Value of all holdings.", nullable=False),
        number("gross", "Sum of their absolute values.", nullable=False, minimum=0),
        text(
            "stopped",
            "Why no new order was sent: kill_switch, stale_data, daily_loss, drawdown; empty otherwise.",
        ),
    ),
    key=("mode", "account", "ts"),
)
