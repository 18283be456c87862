"""The classifier of sentences: learnt words, three ways to fine-tune, folders, bad files."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from btq_assets.models.forecaster import MismatchError, ModelError  # noqa: E402
from btq_assets.models.text.encoder_files import ENCODER_FILE  # noqa: E402
from btq_assets.models.text.encoders import open_encoder, read_encoder  # noqa: E402
from btq_assets.models.text.labelled import CLASSES, read_sentences, sentences  # noqa: E402
from btq_assets.models.text.sentiment import SentimentClassifier, SentimentSpec  # noqa: E402
from btq_assets.models.text.spec import TextSpec  # noqa: E402

torch.set_num_threads(1)

TEXT = TextSpec(dim=16, heads=2, max_tokens=8)
SPEC = SentimentSpec(text=TEXT, epochs=12, learning_rate=2e-2, batch_sentences=16, dropout=0.0)


@pytest.fixture(scope="module")
def fitted(labelled) -> SentimentClassifier:
    return SentimentClassifier(SPEC).fit(labelled())


@pytest.fixture(scope="module")
def folder(fitted: SentimentClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = tmp_path_factory.mktemp("sentiment")
    fitted.save(kept)
    return kept


def test_planted_words_are_learnt(fitted: SentimentClassifier) -> None:
    """Sentences it has not seen, of words it has: three classes, so chance is a third."""
    assert fitted.scores["validation_accuracy"] > 0.9
    found = fitted.predict(
        ["analysts heard gainae report of", "lossdi in the quarter", "", "the firm"]
    )
    assert found["score"][0] > 0.8
    assert found["score"][1] < -0.8
    np.testing.assert_allclose(found.select(CLASSES).sum_horizontal(), 1.0)
    np.testing.assert_allclose(found["score"], found["positive"] - found["negative"])
    assert fitted.predict([]).height == 0


def test_saved_and_loaded_it_says_the_same(fitted: SentimentClassifier, folder: Path) -> None:
    texts = ["gainae report", "lossdi", "the firm said"]
    again = SentimentClassifier.load(folder)
    assert again.predict(texts).equals(fitted.predict(texts))
    assert sorted(file.name for file in folder.iterdir()) == [
        "model.json", "text_encoder.json", "text_encoder.safetensors", "weights.safetensors",
    ]  # fmt: skip
    # The folder is one that a network may begin from.
    tokens = open_encoder(TextSpec(weights=str(folder))).tokens
    assert tokens.words == fitted._encoder.tokens.words


def test_an_altered_byte_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for name in ("text_encoder.safetensors", "text_encoder.json", "weights.safetensors"):
        intact = (tmp_path / name).read_bytes()
        changed = bytearray(intact)
        changed[len(changed) // 2] ^= 1
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(MismatchError, match=f"{name} was altered"):
            SentimentClassifier.load(tmp_path)
        with pytest.raises(MismatchError, match=f"{name} was altered"):
            open_encoder(TextSpec(weights=str(tmp_path)))
        (tmp_path / name).write_bytes(intact)


@pytest.mark.parametrize("how", ["frozen", "lora", "full"])
def test_only_what_should_move_moves(labelled, folder: Path, tmp_path: Path, how: str) -> None:
    """Byte for byte; what is saved has the adapters merged in and says the same."""
    text = TextSpec(how=how, weights=str(folder), max_tokens=8, lora_rank=2)
    tuned = SentimentClassifier(
        SentimentSpec(text=text, epochs=2, learning_rate=1e-2, dropout=0.0, seed=4)
    ).fit(labelled(seed=5))
    before = load_file(folder / ENCODER_FILE)
    now = {
        name.replace(".base.", "."): value
        for name, value in tuned._network.encoder.state_dict().items()
    }
    moved = {
        name for name in before if now[name].numpy().tobytes() != before[name].numpy().tobytes()
    }
    adapters = {name for name in now if "lora" in name}
    size = sum(value.numel() for value in before.values())
    head = 16 * 3 + 3
    if how == "full":
        assert moved == set(before)
        assert tuned.scores["parameters_trained"] == size + head
    else:
        assert moved == set()
        # Rank 2 beside the maps of queries and values, 16 by 16.
        assert tuned.scores["parameters_trained"] == head + (how == "lora") * 2 * 2 * (16 + 16)
    assert len(adapters) == (4 if how == "lora" else 0)
    tuned.save(tmp_path)
    texts = ["gainae report", "lossdi", "the firm said"]
    np.testing.assert_allclose(
        SentimentClassifier.load(tmp_path).predict(texts)["score"],
        tuned.predict(texts)["score"],
        atol=1e-6,
    )
    kept = load_file(tmp_path / ENCODER_FILE)
    assert set(kept) == set(before)
    same = {name for name in kept if torch.equal(kept[name], before[name])}
    changed = {"frozen": set(), "full": set(before)}.get(
        how, {"layers.0.query.weight", "layers.0.value.weight"}
    )
    assert set(before) - same == changed


def test_the_newest_sentence_is_on_record_and_the_newest_stop_the_training(labelled) -> None:
    frame = labelled(per_word=2)
    start = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
    order = np.random.default_rng(1).permutation(frame.height)
    dated = frame.with_columns(
        known_at=pl.Series([start + dt.timedelta(days=int(place)) for place in order])
    )
    short = SentimentSpec(text=TEXT, epochs=1)
    fitted = SentimentClassifier(short).fit(dated)
    assert fitted.known_until == dated["known_at"].max()
    assert SentimentClassifier(short).fit(frame).known_until is None
    ordered = sentences(dated)
    training, validation = fitted._divided(ordered)
    assert ordered["known_at"].gather(training).max() < ordered["known_at"].gather(validation).min()


ROWS = [("good", "Positive "), ("fine", "1"), ("bad", "bearish"), ("so so", "neu")]
ENOUGH = [(f"good {i}", "pos") for i in range(5)] + [(f"bad {i}", "-1") for i in range(5)]


def frame_of(rows: list[tuple], label: str = "label") -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["text", label], orient="row")


def test_labels_and_scores_are_read() -> None:
    found = sentences(frame_of(ENOUGH + ROWS))
    assert (
        dict(
            found.filter(pl.col("text").is_in(["good", "fine", "bad", "so so"])).rows_by_key(
                "text", named=False
            )
        )["so so"][0][0]
        == 1
    )
    by_text = dict(found.select("text", "label").iter_rows())
    assert (by_text["good"], by_text["fine"], by_text["bad"], by_text["so so"]) == (2, 2, 0, 1)
    scored = frame_of(
        [(f"up {i}", 0.5) for i in range(5)]
        + [(f"down {i}", -0.06) for i in range(5)]
        + [("flat", 0.05)],
        "score",
    )
    by_text = dict(sentences(scored).select("text", "label").iter_rows())
    assert (by_text["up 0"], by_text["down 0"], by_text["flat"]) == (2, 0, 1)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"sentence": ["a"]}), r"columns are \['sentence'\]; text and label"),
        (frame_of([*ENOUGH, ("hm", "glad")]), "row 11 needs a text .* has 'hm' and 'glad'"),
        (frame_of([*ENOUGH, ("  ", "pos")]), "row 11 needs a text"),
        (frame_of([("loud", 3.0)], "score"), "row 1 needs .* has 'loud' and 3.0"),
        (frame_of([*ENOUGH, ("good 1", "neg")]), "row 11: 'good 1' has two different labels"),
        (frame_of(ENOUGH[:7]), "2 negative and 5 positive sentences; at least 5"),
    ],
)  # fmt: skip
def test_sentences_that_cannot_teach_are_refused_by_row(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sentences(frame)


def test_a_file_is_read_or_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    frame_of(ENOUGH).with_columns(known_at=pl.lit("2014-05-01T12:00:00")).write_csv(file)
    found = read_sentences(file)
    assert found.height == 10
    assert found["known_at"].unique().to_list() == [dt.datetime(2014, 5, 1, 12, tzinfo=dt.UTC)]
    frame_of(ENOUGH).write_parquet(tmp_path / "labels.parquet")
    assert read_sentences(tmp_path / "labels.parquet").height == 10
    file.write_text("text,label\ngood,fine\n")
    with pytest.raises(ModelError, match=r"labels\.csv: row 1 needs a text .* 'fine'"):
        read_sentences(file)
    file.write_bytes(b"text,label\n\xff\xfe,pos\n")
    with pytest.raises(ModelError, match=r"labels\.csv is neither CSV in UTF-8 nor Parquet"):
        read_sentences(file)
    with pytest.raises(ModelError, match=r"absent\.csv does not exist"):
        read_sentences(tmp_path / "absent.csv")


def test_folders_that_hold_no_encoder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no folder; .*Nothing is downloaded"):
        open_encoder(TextSpec(weights="somebody/finbert"))
    with pytest.raises(ModelError, match=r"holds neither text_encoder\.json nor config\.json"):
        open_encoder(TextSpec(weights=str(tmp_path)))
    with pytest.raises(MismatchError, match="holds no readable encoder"):
        read_encoder(tmp_path)


def test_without_the_extra_the_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'btquant\[text-models\]'"):
        open_encoder(TextSpec(weights=str(tmp_path)))
