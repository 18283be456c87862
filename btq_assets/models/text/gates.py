"""What the documents of a panel must survive before a network reads them.

Belongs here: outcomes over the panel, and what is told of it. Does not belong here: joining
(`documents`), anything fitted.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from btq_assets.contracts.checks import CheckOutcome, in_step_check
from btq_assets.evidence.truncation import truncation_dates
from btq_assets.models.text.documents import COLUMN, REAL, attach, real_documents
from btq_assets.models.text.spec import TextSpec

documents_known = in_step_check(
    "documents_known",
    "The documents of a decision are those of data cut there, and none is known later.",
)
no_synthetic_text = in_step_check(
    "no_synthetic_text", "No SYNTHETIC document is among those that a network reads."
)

_KEY = ["symbol", "ts", "slot"]


def with_documents(
    training_set: pl.DataFrame, documents: pl.DataFrame, scores: pl.DataFrame, spec: TextSpec
) -> pl.DataFrame:
    """The training set with the real documents known at each decision; see `documents.attach`."""
    return attach(
        training_set,
        real_documents(documents, scores),
        documents=spec.documents,
        window_days=spec.window_days,
    )


def known_outcome(
    panel: pl.DataFrame,
    documents: pl.DataFrame,
    scores: pl.DataFrame,
    spec: TextSpec,
    n_dates: int,
) -> CheckOutcome:
    """Joined again from documents known at seeded dates, the rows up to them hold the same.

    Parameters
    ----------
    panel
        What `with_documents` gave.
    documents, scores
        What it was made of.
    spec
        How.
    n_dates
        Number of dates.
    """
    name = "documents_known"
    stored = entries(panel)
    early = stored.filter(~(pl.col("age_days") >= 0).fill_null(False))
    if early.height:
        row = early.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{early.height} document(s) are known after the decision that reads them: "
            f"{row['doc_id']} at {row['symbol']}, {row['ts']}",
        )
    compared = 0
    for cut in truncation_dates(panel.filter("is_decision"), n_dates, name):
        past = pl.col("known_at") <= cut
        fresh = with_documents(
            panel.filter(pl.col("ts") <= cut), documents.filter(past), scores.filter(past), spec
        )
        both = stored.filter(pl.col("ts") <= cut).join(
            entries(fresh), on=_KEY, how="full", coalesce=True, suffix="_again"
        )
        same = pl.all_horizontal(
            pl.col(column).eq_missing(pl.col(f"{column}_again"))
            for column in ("doc_id", "text", "age_days")
        )
        wrong = both.filter(~same)
        if wrong.height:
            row = wrong.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{wrong.height} document(s) are others when what is known after {cut} is removed: "
                f"{row['symbol']} at {row['ts']} reads {row['doc_id']}, then read "
                f"{row['doc_id_again']}",
                {"cut": str(cut)},
            )
        compared += both.height
    return CheckOutcome(
        name, True, f"{compared:,} documents of decisions unchanged", {"compared": compared}
    )


def no_synthetic_outcome(panel: pl.DataFrame, documents: pl.DataFrame) -> CheckOutcome:
    """No document of the panel is labelled anything but REAL."""
    name = "no_synthetic_text"
    generated = documents.filter(pl.col("label") != REAL).select("doc_id").unique()
    found = entries(panel).join(generated, on="doc_id", how="semi")
    if found.is_empty():
        return CheckOutcome(name, True, "no SYNTHETIC document is read")
    row = found.row(0, named=True)
    return CheckOutcome(
        name,
        False,
        f"{found.height} SYNTHETIC document(s) would be read, first {row['doc_id']} at "
        f"{row['symbol']}, {row['ts']}; join documents labelled REAL alone",
    )


def entries(panel: pl.DataFrame) -> pl.DataFrame:
    """One row per document of a decision: ``symbol``, ``ts``, ``slot``, and its fields."""
    return (
        panel.filter(pl.col(COLUMN).list.len() > 0)
        .select("symbol", "ts", COLUMN, slot=pl.int_ranges(pl.col(COLUMN).list.len()))
        .explode(COLUMN, "slot")
        .unnest(COLUMN)
    )


def told(panel: pl.DataFrame, documents: pl.DataFrame) -> dict[str, Any]:
    """What a person wants to know of the documents that are read, and of those that are not."""
    read = entries(panel)
    decisions = panel.filter("is_decision")
    generated = documents.filter(pl.col("label") != REAL)["doc_id"].n_unique()
    if read.is_empty():
        said = "absent: no REAL document is known of any decision"
    else:
        with_any = decisions.filter(pl.col(COLUMN).list.len() > 0).height
        said = (
            f"{read['doc_id'].n_unique():,} documents of {read['symbol'].n_unique()} assets, at "
            f"{with_any / decisions.height:.0%} of the decisions"
        )
    if generated:
        said += f"; {generated:,} SYNTHETIC documents are left out, as they are from every model"
    return {"text": said}
