"""Child process of the concurrency test: writes pairs of rows, or reads and verifies them."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, text
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.reading import table_exists
from btq_assets.warehouse.writing import append_new

EVENTS = TableContract(
    layer="evidence",
    name="events",
    description="Each commit adds two rows whose amounts cancel.",
    columns=(
        text("writer", "Writer."),
        count("number", "Commit."),
        count("side", "0 or 1."),
        count("amount", "Amount.", minimum=None),
    ),
    key=("writer", "number", "side"),
    writer="ledger",
)


def write(warehouse: Warehouse, writer: str, commits: int, acknowledged: Path) -> None:
    done = len(acknowledged.read_text().split()) if acknowledged.exists() else 0
    for number in range(done, commits):
        frame = pl.DataFrame(
            {
                "writer": [writer] * 2,
                "number": [number] * 2,
                "side": [0, 1],
                "amount": [number + 1, -number - 1],
            },
            schema=EVENTS.schema,
        )
        with warehouse.transaction() as connection:
            append_new(connection, EVENTS, frame.head(1))
            append_new(connection, EVENTS, frame.tail(1))
        with acknowledged.open("a") as file:
            file.write(f"{number}\n")


def read(warehouse: Warehouse, stop: Path) -> None:
    seen = 0
    while not stop.exists():
        if not warehouse.paths.working_file.exists():
            continue
        with warehouse.reader() as connection:
            if not table_exists(connection, EVENTS):
                continue
            rows, total = connection.execute(
                "SELECT count(*), coalesce(sum(amount), 0) FROM evidence.events"
            ).fetchone()
        if total != 0 or rows % 2 or rows < seen:
            raise SystemExit(
                f"half a commit was read: {rows} rows, sum {total}, {seen} seen before"
            )
        seen = rows


if __name__ == "__main__":
    role, root, name, commits = sys.argv[1:5]
    store = Warehouse(DataPaths(Path(root)), 120)
    if role == "write":
        write(store, name, int(commits), Path(root) / f"{name}.acknowledged")
    else:
        read(store, Path(root) / "stop")
