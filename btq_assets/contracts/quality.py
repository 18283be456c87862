"""What is known of the state of raw data: proposed repairs, and what should be there by now."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import SYMBOL, count, day, flag, number, stamp, text

#: Kinds of repair, in the order they are looked for.
REPAIR_KINDS = ("unit_100x", "missed_split", "double_split", "missed_dividend", "bad_tick")

#: Columns of a bar that a repair may change.
REPAIRED_COLUMNS = ("open", "high", "low", "close", "adj_close", "volume")

REPAIRS = TableContract(
    layer="quality",
    name="repairs",
    description="Repairs proposed for raw bars: one row per column of a series and span of bars that a factor would mend. Raw bars never change; a repair is applied on the way to core, and only where `sources.repairs` says so.",
    columns=(
        text("table_name", "Raw table, as schema.table."),
        text("key_json", "Key of the bar that shows the fault, as JSON."),
        text("column_name", "Column it would change.", allowed=REPAIRED_COLUMNS),
        text("kind", "What is wrong.", allowed=REPAIR_KINDS),
        number("before", "Value of the column at that bar; null where it has none."),
        number("after", "Value it would have; null where the repair leaves it missing."),
        number(
            "factor",
            "What every value of the column in the span is multiplied by; null: it becomes missing.",
            minimum=0,
            exclusive_minimum=True,
        ),
        text("source", "Raw bars table without its prefix."),
        text("dataset", "Dataset within it."),
        SYMBOL,
        text("freq", "Bar length."),
        stamp("from_ts", "First bar of the span, UTC."),
        stamp("to_ts", "Last bar of the span, UTC."),
        count("n_bars", "Bars in the span that have the column.", minimum=1),
        number(
            "confidence",
            "How sure the proposal is; a rule of thumb, not a probability that was tested.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        text("evidence", "What speaks for it and against it."),
        stamp(
            "evidence_known_at",
            "When the newest bar the proposal rests on was known: nobody could have made it before.",
        ),
        stamp("proposed_at", "When it was proposed, UTC."),
        flag("applied", "Whether the configuration has it applied."),
    ),
    key=("table_name", "key_json", "column_name", "kind"),
    owner="team:data",
)


SESSIONS = TableContract(
    layer="quality",
    name="sessions",
    description="Sessions that had ended when the table was written, of every calendar an instrument follows: what daily bars are held against.",
    columns=(
        text("calendar", "Exchange calendar code, as in raw.universe_membership."),
        day("session", "Trading session."),
        stamp("closes_at", "When it ended, UTC."),
    ),
    key=("calendar", "session"),
    owner="team:data",
)

FEEDS = TableContract(
    layer="quality",
    name="feeds",
    description="Where each raw table comes from: whether the configuration has it on, and whether it should grow.",
    columns=(
        text("table_name", "Raw table, as schema.table."),
        flag("enabled", "Whether its source is switched on."),
        text(
            "kept_up",
            "live where a provider is asked again and again, static for files that do not grow by themselves.",
            allowed=("live", "static"),
        ),
        stamp("as_of", "When this was written: lateness is judged as of then, UTC."),
    ),
    key=("table_name",),
    owner="team:data",
)
