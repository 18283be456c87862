"""What choosing the best of many is worth, how each candidate stands, and what is suspicious."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label
from btq_assets.reports.parts import overfitting
from btq_assets.reports.view import Block, Cell, Head, Row, Section, Table

#: How a symptom is called in a table.
SYMPTOMS = {
    "few_fills": "few fills",
    "flat_equity": "equity stands still",
    "stale_fills": "fills at the price before",
    "lucky_days": "a few days made the gain",
    "lucky_symbol": "one symbol made the gain",
    "exposure_explains_return": "exposure explains the return",
    "too_many_parameters": "many parameters for the data",
    "too_good": "too good",
}

_ROLES = ("candidate", "baseline", "benchmark")


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """The joint tests, the standing of each candidate, and the findings."""
    blocks = tuple(_blocks(frames, context))
    if not blocks:
        return None
    return Section(
        "evidence",
        "Evidence",
        blocks,
        "The best of many looks good by choice alone. These tests count the choice; all of them "
        "compare with 1/N of the same universe.",
    )


def suspicious(frames: ReportFrames) -> str:
    """One sentence on the findings for the verdict box; empty where nothing was looked for."""
    if frames["selection"].is_empty() and frames["findings"].is_empty():
        return ""
    own = frames["findings"].filter(pl.col("strategy").is_in(frames.strategies("candidate")))
    if own.is_empty():
        return "Suspicious: nothing of what was looked for was found in a candidate."
    named = [
        f"{SYMPTOMS[symptom]} ({', '.join(rows['strategy'])})"
        for (symptom,), rows in own.sort("symptom", "strategy").group_by(
            "symptom", maintain_order=True
        )
    ]
    return f"Suspicious, and to be explained first: {'; '.join(named)}."


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    if frames["selection"].height:
        yield _choice(frames, context)
    yield from overfitting.pictures(frames, context)
    if frames["discoveries"].height:
        yield _standing(frames, context)
    if frames["selection"].height or frames["findings"].height:
        yield _findings(frames, context)


def _probability(name: str) -> Callable[[dict[str, Any]], Cell]:
    return lambda row: Cell(fmt.probability(row[name]))


def _hansen(row: dict[str, Any]) -> Cell:
    bounds = [fmt.probability(row[name]) for name in ("spa_lower_p", "spa_upper_p")]
    known = row["spa_lower_p"] is not None
    return Cell(
        fmt.probability(row["spa_consistent_p"]),
        detail=f"{bounds[0]} to {bounds[1]}" if known else "",
    )


def _overfitting(row: dict[str, Any]) -> Cell:
    splits = row["overfitting_splits"]
    return Cell(
        fmt.percent(row["overfitting_probability"], 0),
        detail="" if splits is None else f"of {fmt.whole(splits)} splits",
    )


#: Name, meaning, cell of a row of ``evidence.selection``.
_FIGURES: tuple[tuple[str, str, Callable[[dict[str, Any]], Cell]], ...] = (
    ("Trials", "Candidates in the ledger: at least this many were tried",
     lambda row: Cell(fmt.whole(row["n_trials"]))),
    ("Compared", "The newest version of each whose returns vary, on the days all have",
     lambda row: Cell(fmt.whole(row["n_compared"]), detail=f"{fmt.number(row['years'], 1)} years")),
    ("Independent attempts", "Clusters of their returns; the count above stays the strict one",
     lambda row: Cell(fmt.whole(row["n_effective"]),
                      detail=f"{fmt.number(row['n_effective_spectral'], 1)} by eigenvalues")),
    ("Probability of overfitting",
     "Share of splits of the days in which the best of one half ranks at or below the middle of "
     "the other", _overfitting),
    ("Chosen one loses", "Share of splits in which it has a negative Sharpe ratio in the other half",
     _probability("loss_probability")),
    ("What is left of a Sharpe ratio",
     "Slope of the chosen one's Sharpe ratio in the other half on that in the first; 1 keeps all, "
     "below 0 the better half is followed by the worse one",
     lambda row: Cell(fmt.number(row["degradation_slope"]))),
    ("Superior ability, p", "Hansen's test that no candidate has a higher mean return than 1/N; "
     "small print: its bounds", _hansen),
    ("Reality check, p", "White's test of the same", _probability("reality_check_p")),
    ("Years needed", "Below them the best of so many trials without skill is expected to show an "
     "annual Sharpe ratio of 1",
     lambda row: Cell(fmt.number(row["minimum_backtest_years"], 1))),
)  # fmt: skip


def _choice(frames: ReportFrames, context: ReportContext) -> Table:
    questions = frames["selection"].sort("universe", "question").rows(named=True)
    heads = (
        Head("Figure", numeric=False),
        *(Head(row["universe"], f"Question {row['question']}") for row in questions),
        Head("What it says", numeric=False),
    )
    rows = tuple(
        Row((Cell(name), *(_or_note(cell, row) for row in questions), Cell(meaning)))
        for name, meaning, cell in _FIGURES
    )
    unjudged = tuple(
        f"{row['universe']} was not judged: {row['note']}." for row in questions if row["note"]
    )
    return Table(
        heads, rows, "What choosing among the candidates is worth", unjudged,
        context.source("selection"),
    )  # fmt: skip


def _or_note(cell: Callable[[dict[str, Any]], Cell], row: dict[str, Any]) -> Cell:
    made = cell(row)
    return Cell(fmt.MISSING, title=row["note"]) if made.text == fmt.MISSING else made


def _standing(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Universe", numeric=False),
        Head("Cluster", "Candidates of one cluster are variants of one attempt"),
        Head("p", "Probability of such a Sharpe ratio of the difference to 1/N, were the true one 0"),
        Head("q", "Smallest false-discovery rate at which it would count (Benjamini & Yekutieli)"),
        Head("Superior", "With the search counted, family-wise error 5 % (Romano & Wolf)",
             numeric=False),
        Head("Trial", numeric=False),
    )  # fmt: skip
    universes = dict(frames["selection"].select("question", "universe").iter_rows())
    rows = tuple(
        Row(
            (
                Cell(label(row["strategy"])),
                Cell(universes.get(row["question"], fmt.MISSING)),
                Cell(fmt.whole(row["cluster"])),
                Cell(fmt.probability(row["p_value"])),
                Cell(fmt.probability(row["q_value"])),
                Cell(_YES_NO[row["superior"]]),
                Cell(row["trial_id"][:16], title=row["trial_id"]),
            ),
            kind="candidate",
        )
        for row in frames["discoveries"]
        .sort("p_value", "strategy", "trial_id", nulls_last=True)
        .iter_rows(named=True)
    )
    note = "The present version of each strategy, configuration and seed in the ledger of trials."
    return Table(
        heads, rows, "How each candidate stands", (note,), context.source("discoveries")
    )  # fmt: skip


_YES_NO = {True: "yes", False: "no", None: fmt.MISSING}


def _findings(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Strategy", numeric=False),
        Head("Finding", numeric=False),
        Head("Value"),
        Head("Held against"),
        Head("What was found", numeric=False),
    )
    rows: list[Row] = []
    for role in _ROLES:
        order = {name: place for place, name in enumerate(frames.strategies(role))}
        own = frames["findings"].filter(pl.col("strategy").is_in(list(order)))
        found = sorted(own.rows(named=True), key=lambda r: (order[r["strategy"]], r["symptom"]))
        rows.extend(
            Row(
                (
                    Cell(label(row["strategy"])),
                    Cell(SYMPTOMS[row["symptom"]]),
                    Cell(_plain(row["value"])),
                    Cell(_plain(row["threshold"])),
                    Cell(row["detail"]),
                ),
                kind=role,
            )
            for row in found
        )
    if not rows:
        rows = [Row((Cell("nothing was found"), *[Cell(fmt.MISSING)] * 4))]
    return Table(
        heads,
        tuple(rows),
        "What is suspicious",
        ("A finding is a question to be answered before a result is believed, not a refusal.",),
        context.source("findings"),
    )


def _plain(value: float) -> str:
    """Counts without decimals, ratios with two."""
    return fmt.whole(value) if abs(value) >= 10 and float(value).is_integer() else fmt.number(value)
