"""Documents of a decision: point in time, newest first, real alone; tokens fitted on them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import core, features
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.forecaster import MissingFeatureError, ModelError
from btq_assets.models.text import gates
from btq_assets.models.text.documents import (
    COLUMN,
    SyntheticDocumentError,
    attach,
    real_documents,
    texts_of,
)
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.text.tokens import HASHED, WordTokens, words_of

UTC = dt.UTC
DAYS = [dt.datetime(2020, 1, day, 21, tzinfo=UTC) for day in range(1, 8)]
HOUR = dt.timedelta(hours=1)


def panel_of(symbols: tuple[str, ...] = ("A", "B")) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame({"universe": "u", "symbol": symbol, "ts": DAYS, "is_decision": True})
        for symbol in symbols
    ).with_columns(session_return=pl.lit(0.0))


def known(*rows: tuple[str, dt.datetime, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "symbol": pl.String,
            "known_at": pl.Datetime("us", "UTC"),
            "doc_id": pl.String,
            "text": pl.String,
        },
        orient="row",
    )


def read(panel: pl.DataFrame, symbol: str) -> list[list[tuple[str, float]]]:
    """Texts and ages in hours of each session of an asset."""
    lists = panel.filter(symbol=symbol).sort("ts")[COLUMN].to_list()
    return [
        [(one["text"], round(one["age_days"] * 24, 6)) for one in found or []] for found in lists
    ]


NEWS = known(
    ("A", DAYS[1], "a", "one"),
    ("A", DAYS[1] + HOUR, "b", "two"),
    ("A", DAYS[4], "a", "one, corrected"),
    ("B", DAYS[0], "c", "three"),
    ("C", DAYS[0], "d", "of nobody here"),
)


def test_what_is_known_at_each_session_by_hand() -> None:
    """Known at the session itself counts; an hour after it does not; the newest vintage replaces."""
    panel = attach(panel_of(), NEWS, documents=2, window_days=3)
    assert read(panel, "A") == [
        [],
        [("one", 0)],
        [("two", 23), ("one", 24)],
        [("two", 47), ("one", 48)],
        [("one, corrected", 0), ("two", 71)],
        [("one, corrected", 24)],
        [("one, corrected", 48)],
    ]
    assert read(panel, "B")[:4] == [[("three", 0)], [("three", 24)], [("three", 48)], []]
    one = attach(panel_of(), NEWS, documents=1, window_days=3)
    assert read(one, "A")[2] == [("two", 23)]
    # Sessions that decide nothing read nothing.
    decides = panel_of().with_columns(is_decision=pl.col("ts") == DAYS[2])
    assert [len(found) for found in read(attach(decides, NEWS, documents=2, window_days=3), "A")] == [
        0, 0, 2, 0, 0, 0, 0,
    ]  # fmt: skip


def test_documents_in_the_future_change_nothing() -> None:
    """At every cut, what is known later may be anything, or not be there."""
    whole = attach(panel_of(), NEWS, documents=3, window_days=30)
    for cut in DAYS:
        past = NEWS.filter(pl.col("known_at") <= cut)
        odd = NEWS.filter(pl.col("known_at") > cut).with_columns(text=pl.lit("CRASH"))
        for given in (past, pl.concat([odd, past])):
            again = attach(panel_of(), given, documents=3, window_days=30)
            assert again.filter(pl.col("ts") <= cut).equals(whole.filter(pl.col("ts") <= cut))


def test_a_document_before_its_time_is_refused_where_it_is_read() -> None:
    panel = attach(panel_of(), NEWS, documents=2, window_days=3)
    early = panel.with_columns(
        pl.col(COLUMN).list.eval(
            pl.element().struct.with_fields(pl.element().struct.field("age_days") - 0.5)
        )
    )
    with pytest.raises(ModelError, match=r"known after the row.*'a': its age is -0.5 days"):
        PanelArrays.from_panel(early, ())


def test_arrays_hold_what_the_column_says() -> None:
    panel = attach(panel_of(), NEWS, documents=2, window_days=3)
    shuffled = panel.sample(fraction=1.0, shuffle=True, seed=4)
    arrays = PanelArrays.from_panel(shuffled, ())
    found = arrays.documents
    session, asset = np.array([2, 2, 0]), np.array([0, 1, 0])
    numbers, ages = found.of(session, asset, 3)
    texts = ["", *found.texts]
    assert [[texts[n] for n in row] for row in numbers] == [
        ["two", "one", ""], ["three", "", ""], ["", "", ""],
    ]  # fmt: skip
    np.testing.assert_allclose(ages[0], [1 - 1 / 24, 1.0, 0.0], rtol=1e-6)
    # A panel in which nobody knows anything.
    nothing = PanelArrays.from_panel(panel.with_columns(pl.lit(None).alias(COLUMN)), ()).documents
    assert nothing.of(session, asset, 2)[0].tolist() == [[0, 0]] * 3


def test_a_column_that_is_none_is_named() -> None:
    with pytest.raises(MissingFeatureError, match="no column 'documents', which the modality text"):
        texts_of(panel_of())
    with pytest.raises(ModelError, match=r"column 'documents' is List\(String\); lists of"):
        texts_of(panel_of().with_columns(pl.lit(["a"]).alias(COLUMN)))


def scored(*rows: tuple[str, str, str, str, bool, float | None]) -> pl.DataFrame:
    """Rows of ``features.document_scores``: id, symbol, label, headline, repeat, score."""
    frame = pl.DataFrame(
        rows, schema=["doc_id", "symbol", "label", "headline", "is_repeat", "score"], orient="row"
    ).with_columns(known_at=pl.lit(DAYS[0]), published_at=pl.lit(DAYS[0]))
    missing = [n for n in features.DOCUMENT_SCORES.column_names if n not in frame.columns]
    schema = features.DOCUMENT_SCORES.schema
    return frame.with_columns(pl.lit(None, schema[n]).alias(n) for n in missing)


def told(scores: pl.DataFrame, bodies: dict[str, str]) -> pl.DataFrame:
    """Rows of ``core.documents`` behind them."""
    frame = scores.unique("doc_id").with_columns(
        text=pl.col("doc_id").replace_strict(bodies, default=None, return_dtype=pl.String)
    )
    missing = [n for n in core.DOCUMENTS.column_names if n not in frame.columns]
    return frame.with_columns(pl.lit(None, core.DOCUMENTS.schema[n]).alias(n) for n in missing)


SCORES = scored(
    ("r", "A", "REAL", "headline", False, 0.1),
    ("r", "B", "REAL", "headline", False, 0.1),
    ("again", "A", "REAL", "the same story", True, 0.1),
    ("foreign", "A", "REAL", "Schlagzeile", False, None),
    ("market", "", "REAL", "about nobody", False, 0.1),
    ("made", "A", "SYNTHETIC", "SYNTHETIC headline", False, 0.1),
)


def test_generated_repeated_and_unread_documents_never_arrive() -> None:
    documents = told(SCORES, {"r": "and its body", "made": "x"})
    found = real_documents(documents, SCORES)
    assert found.select("symbol", "doc_id", "text").rows() == [
        ("A", "r", "headline\nand its body"),
        ("B", "r", "headline\nand its body"),
    ]
    with pytest.raises(
        SyntheticDocumentError, match=r"1 document\(s\) are SYNTHETIC, first 'made'"
    ):
        attach(
            panel_of(),
            documents.filter(doc_id="made").select("symbol", "known_at", "doc_id", "text", "label"),
            documents=2,
            window_days=3,
        )
    # A label wrong in one of the two tables is enough to leave it out.
    lying = SCORES.with_columns(label=pl.lit("REAL"))
    assert set(real_documents(documents, lying)["doc_id"]) == {"r"}


def test_gates_refuse_what_is_known_later_and_what_is_generated() -> None:
    spec = TextSpec(documents=2, window_days=30)
    documents = told(SCORES, {"r": "and its body"}).with_columns(known_at=pl.lit(DAYS[3]))
    scores = SCORES.with_columns(known_at=pl.lit(DAYS[3]))
    good = gates.with_documents(panel_of(), documents, scores, spec)
    assert gates.known_outcome(good, documents, scores, spec, 3).passed
    assert gates.no_synthetic_outcome(good, documents).passed
    assert gates.told(good, documents)["text"] == (
        "1 documents of 2 assets, at 57% of the decisions; 1 SYNTHETIC documents are left out, as "
        "they are from every model"
    )
    # Joined a day too early, but with an age that looks right.
    sooner = gates.with_documents(
        panel_of(),
        documents.with_columns(known_at=pl.lit(DAYS[2])),
        scores.with_columns(known_at=pl.lit(DAYS[2])),
        spec,
    )
    outcome = gates.known_outcome(sooner, documents, scores, spec, 7)
    assert not outcome.passed
    assert "when what is known after" in outcome.message
    early = good.with_columns(
        pl.col(COLUMN).list.eval(
            pl.element().struct.with_fields(pl.element().struct.field("age_days") - 1)
        )
    )
    outcome = gates.known_outcome(early, documents, scores, spec, 3)
    assert not outcome.passed
    assert "known after the decision that reads them: r at A" in outcome.message
    generated = attach(
        panel_of(),
        documents.filter(doc_id="made").select(
            "known_at", "doc_id", symbol=pl.lit("A"), text="headline"
        ),
        documents=2,
        window_days=30,
    )
    outcome = gates.no_synthetic_outcome(generated, documents)
    assert not outcome.passed
    assert "first made at A" in outcome.message


def test_only_generated_documents_leave_text_absent_and_say_so() -> None:
    documents = told(SCORES, {}).filter(label="SYNTHETIC")
    panel = gates.with_documents(panel_of(), documents, SCORES, TextSpec())
    assert panel[COLUMN].null_count() == panel.height
    assert gates.told(panel, documents)["text"] == (
        "absent: no REAL document is known of any decision; 1 SYNTHETIC documents are left out, as "
        "they are from every model"
    )


def test_words_signs_and_numbers() -> None:
    assert words_of("Profit +12.5% at Müller-AG, 3 times $4!") == [
        "profit", "+", "#", "%", "at", "müller", "-", "ag", "#", "times", "$", "#", "!",
    ]  # fmt: skip
    assert words_of("a b c", 2) == ["a", "b"]


def test_the_vocabulary_is_the_frequent_words_whatever_the_order() -> None:
    texts = ["b a a", "c b b", "b c d", "b c d"]  # the last one twice, counted once
    tokens = WordTokens.fit(texts, 2)
    assert tokens.words == ("b", "a")  # b 4, then a and c with 2 each: by the alphabet
    assert WordTokens.fit(texts[::-1], 2).words == tokens.words
    assert WordTokens.fit(texts, 9).words == ("b", "a", "c")  # d stands once
    found = tokens.encode(["b zebra a", "zebra", ""], 2)
    assert found.dtype == np.int32
    assert found[0, 0] == 1 + HASHED
    # A word outside has the same place in every process: 1 + blake2b(b"zebra", 4 bytes)[0] % 64.
    assert found[0, 1] == 46
    assert found[1].tolist() == [46, 0]
    assert found[2].tolist() == [0, 0]
    assert tokens.n_tokens == 1 + HASHED + 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"how": "half"}, "one of frozen, lora, full, not 'half'"),
        ({"how": "lora"}, "how = lora keeps weights, but text.weights names no folder"),
        ({"dim": 6, "heads": 4}, "dim = 6 is no multiple of text.heads = 4"),
        ({"pooling": "max"}, "mean or first, not 'max'"),
        ({"documents": 0}, "documents is 0; at least 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        TextSpec(**settings)
