"""Documents in the Transformer-GNN: news that tells the return, what may be seen, what moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from btq_assets.config import ConfigError, TradingConfig  # noqa: E402
from btq_assets.models import scores  # noqa: E402
from btq_assets.models.deep.transformer_gnn import (  # noqa: E402
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.explanation.why import NotExplainedError, explain  # noqa: E402
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import (  # noqa: E402
    MismatchError,
    MissingFeatureError,
    ModelError,
)
from btq_assets.models.plans import deep_plan, deep_spec  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402
from btq_assets.models.text.documents import COLUMN, attach  # noqa: E402
from btq_assets.models.text.encoder_files import DESCRIPTION_FILE, ENCODER_FILE  # noqa: E402
from btq_assets.models.text.encoders import open_encoder  # noqa: E402
from btq_assets.models.text.reading import (  # noqa: E402
    ADAPTERS_FILE,
    LookAheadError,
    TextReading,
)
from btq_assets.models.text.sentiment import SentimentClassifier, SentimentSpec  # noqa: E402
from btq_assets.models.text.spec import TextSpec  # noqa: E402

torch.set_num_threads(1)

TEXT = TextSpec(dim=16, heads=2, max_tokens=8, documents=2)
SPEC = TransformerGNNSpec(
    model_dim=12,
    num_heads=2,
    lookback_sessions=3,
    epochs=6,
    learning_rate=1e-2,
    graph_window_sessions=40,
    graph_neighbours=2,
    horizon_sessions=1,
    dropout=0.0,
    modalities=("text",),
    text=TEXT,
)


@pytest.fixture(scope="module")
def fitted(news: tuple) -> TransformerGNNForecaster:
    return TransformerGNNForecaster(SPEC, code_version="v1").fit(news[1])


@pytest.fixture(scope="module")
def test_rows(news: tuple) -> pl.DataFrame:
    panel, data, _ = news
    return panel.filter(pl.col("ts") >= data.cutoff)


@pytest.fixture(scope="module")
def sentiment(labelled: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the words of the news, saved."""
    folder = tmp_path_factory.mktemp("sentiment")
    spec = SentimentSpec(text=TEXT, epochs=12, learning_rate=2e-2, batch_sentences=16, dropout=0.0)
    SentimentClassifier(spec).fit(labelled()).save(folder)
    return folder


def ic_of(forecaster: TransformerGNNForecaster, rows: pl.DataFrame) -> float:
    return scores.mean_rank_ic(forecaster.predict(rows), rows)


def test_news_that_tells_the_return_is_learnt_by_reading_alone(
    fitted: TransformerGNNForecaster, news: tuple, test_rows: pl.DataFrame
) -> None:
    assert ic_of(fitted, test_rows) > 0.4
    deaf = TransformerGNNForecaster(replace(SPEC, modalities=())).fit(news[1])
    assert abs(ic_of(deaf, test_rows)) < 0.2
    told = fitted.scores
    assert told["training_texts"] > 200
    own = sum(p.numel() for n, p in fitted._network.named_parameters() if ".encoder." in n)
    assert told["text_parameters"] == told["text_parameters_trained"] == own > 0
    # The same words about others: what is read is whose news it is.
    rotated = test_rows.with_columns(pl.col(COLUMN).shift(1).over("ts", order_by="symbol"))
    assert ic_of(fitted, rotated) < 0.2


def test_saved_and_loaded_it_forecasts_the_same(
    fitted: TransformerGNNForecaster, test_rows: pl.DataFrame, tmp_path: Path
) -> None:
    before = fitted.predict(test_rows)
    fitted.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.json", "weights.safetensors", ENCODER_FILE, DESCRIPTION_FILE,
    }  # fmt: skip
    again = load_forecaster(tmp_path)
    assert again.reads_documents
    np.testing.assert_array_equal(again.predict(test_rows)["forecast"], before["forecast"])
    altered = bytearray((tmp_path / DESCRIPTION_FILE).read_bytes())
    altered[-3] ^= 1
    (tmp_path / DESCRIPTION_FILE).write_bytes(altered)
    with pytest.raises(MismatchError, match=r"text_encoder\.json was altered"):
        load_forecaster(tmp_path)


def test_a_document_known_later_changes_nothing(
    fitted: TransformerGNNForecaster, news: tuple, test_rows: pl.DataFrame
) -> None:
    """Joined again with other words after the cut, forecasts up to it are the same to the last bit."""
    panel, _, known = news
    ts = test_rows["ts"].unique().sort()
    later = pl.when(pl.col("known_at") > ts[15]).then(pl.lit("gainae gainae")).otherwise("text")
    plain = panel.drop(COLUMN)
    other = attach(plain, known.with_columns(text=later), documents=2, window_days=5)
    other = other.filter(pl.col("ts") >= ts[0])
    until = pl.col("ts") <= ts[15]
    one, again = (fitted.predict(rows) for rows in (test_rows, other))
    np.testing.assert_allclose(
        again.filter(until)["forecast"], one.filter(until)["forecast"], rtol=1e-5, atol=1e-8
    )
    assert not np.allclose(again.filter(~until)["forecast"], one.filter(~until)["forecast"])
    cut = fitted.predict(test_rows.filter(until))
    np.testing.assert_allclose(cut["forecast"], one.filter(until)["forecast"], rtol=1e-4, atol=1e-7)


def weights_of(forecaster: TransformerGNNForecaster, folder: Path) -> dict[str, bytes]:
    forecaster.save(folder)
    files = ("weights.safetensors", ENCODER_FILE, DESCRIPTION_FILE)
    return {name: (folder / name).read_bytes() for name in files}


def test_nothing_after_training_is_behind_the_vocabulary(
    news: tuple, training_set_of: Callable, tmp_path: Path
) -> None:
    """Words of the validation segment are no words of the vocabulary; the fit is of its own data."""
    panel, data, _ = news
    later = pl.col("ts") > data.train[1]
    swapped = panel.with_columns(
        pl.when(later)
        .then(
            pl.col(COLUMN).list.eval(
                pl.element().struct.with_fields(pl.lit("unheard unheard").alias("text"))
            )
        )
        .otherwise(COLUMN)
        .alias(COLUMN)
    )
    short = replace(SPEC, epochs=1)
    one = TransformerGNNForecaster(short).fit(data)
    other = TransformerGNNForecaster(short).fit(training_set_of(swapped, ("noise",), 150, 40))
    first, second = (weights_of(f, tmp_path / n) for f, n in ((one, "one"), (other, "other")))
    assert first == second
    words = json.loads(first[DESCRIPTION_FILE])["words"]
    assert "gainae" in words
    assert "unheard" not in words


def one_fast(fast: str) -> list:
    """The three ways; all but one are left to the slow tests."""
    return [
        pytest.param(how, marks=() if how == fast else pytest.mark.slow)
        for how in ("frozen", "lora", "full")
    ]


@pytest.mark.parametrize("how", one_fast("lora"))
def test_only_what_should_move_moves_and_a_transferred_encoder_reads(
    how: str, news: tuple, test_rows: pl.DataFrame, sentiment: Path, tmp_path: Path
) -> None:
    spec = replace(SPEC, text=replace(TEXT, how=how, weights=str(sentiment), lora_rank=2), epochs=4)
    fitted = TransformerGNNForecaster(spec).fit(news[1])
    assert ic_of(fitted, test_rows) > 0.4
    fitted.save(tmp_path)
    files = {file.name for file in tmp_path.iterdir()}
    assert (ADAPTERS_FILE in files) == (how == "lora")
    begun, kept = load_file(sentiment / ENCODER_FILE), load_file(tmp_path / ENCODER_FILE)
    same = {n for n in begun if begun[n].numpy().tobytes() == kept[n].numpy().tobytes()}
    assert same == (set() if how == "full" else set(begun))
    size = sum(value.numel() for value in begun.values())
    # Adapters of rank 2 beside two maps of 16 by 16.
    trained = {"frozen": 0, "lora": 2 * 2 * (16 + 16), "full": size}[how]
    assert fitted.scores["text_parameters_trained"] == trained
    assert fitted.scores["text_parameters"] == size + (trained if how == "lora" else 0)
    again = load_forecaster(tmp_path).predict(test_rows)
    np.testing.assert_allclose(again["forecast"], fitted.predict(test_rows)["forecast"], rtol=1e-6)


def test_what_sentences_taught_helps_where_returns_are_few(
    newsy: Callable, labelled: Callable, sentiment: Path, tmp_path: Path
) -> None:
    """Thirty decisions of returns: frozen words from true labels help, from shuffled ones do not."""
    panel, data, _ = newsy(30, seed=8)
    rows = panel.filter(pl.col("ts") >= data.cutoff)
    spec = SentimentSpec(text=TEXT, epochs=6, learning_rate=2e-2, batch_sentences=16, dropout=0.0)
    SentimentClassifier(spec).fit(labelled(shuffled=True)).save(tmp_path)
    found = {}
    for name, folder in (("true", sentiment), ("shuffled", tmp_path)):
        text = replace(TEXT, how="frozen", weights=str(folder))
        fitted = TransformerGNNForecaster(replace(SPEC, text=text, epochs=10, patience=10)).fit(
            data
        )
        found[name] = ic_of(fitted, rows)
    assert found["true"] > 0.35, found
    assert found["true"] > found["shuffled"] + 0.25, found


def test_a_frozen_document_is_encoded_once(
    news: tuple, sentiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all fits on the same weights together; other texts, and other weights, are asked."""
    text = replace(TEXT, how="frozen", weights=str(sentiment))
    spec = replace(SPEC, text=text, epochs=1)
    fitted = TransformerGNNForecaster(spec).fit(news[1])
    before = fitted.predict(news[1].panel)
    asked: list[str] = []
    encode = TextReading._encode

    def recorded(self, texts, *others):
        asked.extend(texts)
        return encode(self, texts, *others)

    monkeypatch.setattr(TextReading, "_encode", recorded)
    assert fitted.predict(news[1].panel).equals(before)
    again = TransformerGNNForecaster(spec).fit(news[1])
    assert asked == []
    again._text.contents(["words unheard of", "words unheard of"])
    assert asked == ["words unheard of"]
    shorter = replace(spec, text=replace(text, max_tokens=3))
    TransformerGNNForecaster(shorter).fit(news[1])
    assert len(asked) > 200


def test_a_modality_missing_altogether_is_left_out_and_said(
    fitted: TransformerGNNForecaster, news: tuple, test_rows: pl.DataFrame, tmp_path: Path
) -> None:
    panel, data, _ = news
    none = pl.lit(None, panel.schema[COLUMN]).alias(COLUMN)
    silent: TrainingSet = replace(data, panel=data.panel.with_columns(none))
    short = replace(SPEC, epochs=1)
    without = TransformerGNNForecaster(short).fit(silent)
    assert without.scores["training_texts"] == 0
    plain = TransformerGNNForecaster(replace(short, modalities=())).fit(data)
    expected = plain.predict(test_rows)["forecast"]
    np.testing.assert_array_equal(without.predict(test_rows)["forecast"], expected)
    # It learnt to read nothing, so it needs no documents later; kept, it is still that network.
    without.save(tmp_path)
    again = load_forecaster(tmp_path)
    np.testing.assert_array_equal(again.predict(test_rows.drop(COLUMN))["forecast"], expected)
    # Learnt, and then nobody writes any more: finite, and no better than chance.
    mute = fitted.predict(test_rows.with_columns(none))
    assert mute["forecast"].is_finite().all()
    assert abs(scores.mean_rank_ic(mute, test_rows)) < 0.25


def test_a_panel_without_the_column_is_refused_by_name(
    fitted: TransformerGNNForecaster, news: tuple, test_rows: pl.DataFrame
) -> None:
    with pytest.raises(
        MissingFeatureError, match=r"forecasting with transformer_gnn: .*'documents'"
    ):
        fitted.predict(test_rows.drop(COLUMN))
    _, data, _ = news
    with pytest.raises(MissingFeatureError, match="'documents', which the modality text reads"):
        TransformerGNNForecaster(SPEC).fit(replace(data, panel=data.panel.drop(COLUMN)))


def test_weights_that_have_read_the_future_are_refused(
    news: tuple, labelled: Callable, tmp_path: Path
) -> None:
    panel, data, _ = news
    dated = labelled(per_word=2).with_columns(known_at=pl.lit(panel["ts"].max()))
    SentimentClassifier(SentimentSpec(text=TEXT, epochs=1)).fit(dated).save(tmp_path)
    spec = replace(SPEC, text=replace(TEXT, weights=str(tmp_path)))
    with pytest.raises(LookAheadError, match="has learnt from texts known until"):
        TransformerGNNForecaster(spec).fit(data)


def test_serving_and_explaining_are_refused_by_name(
    fitted: TransformerGNNForecaster, test_rows: pl.DataFrame, tmp_path: Path
) -> None:
    from btq_assets.models.serving.forecaster import write_served

    with pytest.raises(ModelError, match="a network that reads documents cannot be served"):
        write_served(fitted, tmp_path / "served", test_rows)
    assert not (tmp_path / "served").exists()
    with pytest.raises(NotExplainedError, match="also reads documents"):
        explain(fitted, test_rows)


@pytest.mark.parametrize("how", one_fast("frozen"))
def test_a_model_of_the_transformers_library_reads(
    how: str, news: tuple, test_rows: pl.DataFrame, tiny_bert: Path, tmp_path: Path
) -> None:
    """A BERT of random weights out of a folder, fine-tuned and kept three ways."""
    text = TextSpec(how=how, weights=str(tiny_bert), max_tokens=8, documents=2, lora_rank=2)
    spec = replace(SPEC, text=text, epochs=6 if how == "full" else 2)
    fitted = TransformerGNNForecaster(spec).fit(news[1])
    if how == "full":
        assert ic_of(fitted, test_rows) > 0.4
    before = fitted.predict(test_rows)
    fitted.save(tmp_path)
    again = load_forecaster(tmp_path)
    np.testing.assert_allclose(again.predict(test_rows)["forecast"], before["forecast"], rtol=1e-6)
    # Weights that did not move are not copied; moved ones, and adapters, are.
    assert (tmp_path / ENCODER_FILE).is_file() == (how == "full")
    assert (tmp_path / ADAPTERS_FILE).is_file() == (how == "lora")
    assert (tmp_path / "text_base" / "config.json").is_file() == (how == "full")
    if how == "lora":
        adapted = load_file(tmp_path / ADAPTERS_FILE)
        assert {value.numel() for value in adapted.values()} == {2 * 16}
        assert len(adapted) == 2 * 2 * 2  # layers, queries and values, down and up
        assert fitted.scores["text_parameters_trained"] == 8 * 2 * 16


def test_what_a_folder_says_is_what_the_library_says(tiny_bert: Path) -> None:
    """Its own model and tokeniser, one sentence at a time; ours pads, and cuts at eight tokens."""
    import transformers

    encoder = open_encoder(TextSpec(weights=str(tiny_bert)))
    own = transformers.AutoModel.from_pretrained(tiny_bert, add_pooling_layer=False).eval()
    tokeniser = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    texts = ["report of gainae the firm said in the quarter", "lossdi", "of words unheard of"]
    numbers = torch.from_numpy(encoder.tokens.encode(texts, 8)).long()
    assert numbers.shape == (3, 8)
    with torch.no_grad():
        found = encoder.build().eval()(numbers)
        for text, vector in zip(texts, found, strict=True):
            given = tokeniser(text, truncation=True, max_length=8, return_tensors="pt")
            expected = own(**given).last_hidden_state.mean(1)[0]
            torch.testing.assert_close(vector, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert bool(torch.isfinite(encoder.build()(torch.zeros(1, 8, dtype=torch.int64))).all())


def test_folders_of_the_library_that_cannot_serve_are_named(
    tiny_bert: Path, tmp_path: Path
) -> None:
    def copied(name: str, *left_out: str) -> Path:
        (tmp_path / name).mkdir()
        for file in tiny_bert.iterdir():
            if file.name not in left_out:
                (tmp_path / name / file.name).write_bytes(file.read_bytes())
        return tmp_path / name

    def opened(folder: Path) -> None:
        open_encoder(TextSpec(weights=str(folder))).build()

    pickled = copied("pickled", "model.safetensors")
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(
        ModelError, match=r"no \.safetensors file; weights in other formats can run"
    ):
        opened(pickled)
    lacking = copied("lacking", "model.safetensors")
    weights = load_file(tiny_bert / "model.safetensors")
    save_file(
        {n: v for n, v in weights.items() if ".layer.1." not in n},
        lacking / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelError, match="lacks weights of its own architecture"):
        opened(lacking)
    damaged = copied("damaged")
    (damaged / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="damaged cannot be read as a model of the transformers"):
        opened(damaged)
    speechless = copied("speechless", "tokenizer.json")
    with pytest.raises(ModelError, match="speechless"):
        opened(speechless)


def test_weights_that_moved_under_an_adapter_are_refused(
    news: tuple, tiny_bert: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for file in tiny_bert.iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    text = TextSpec(how="lora", weights=str(base), max_tokens=8, documents=2)
    fitted = TransformerGNNForecaster(replace(SPEC, text=text, epochs=1)).fit(news[1])
    fitted.save(tmp_path / "model")
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    with pytest.raises(MismatchError, match="base, which are others by now"):
        load_forecaster(tmp_path / "model")
    (base / "model.safetensors").unlink()
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(MismatchError, match="base, which are gone"):
        load_forecaster(tmp_path / "model")


def test_the_configuration_reaches_the_network() -> None:
    given = {
        "transformer": {"modalities": ("macro", "text")},
        "text": {"max_tokens": 7, "documents": 3, "lora_rank": 5},
    }
    config = TradingConfig(models=given)
    spec = deep_spec("transformer_gnn", config, seed=1, documents=True)
    assert spec.text == TextSpec(max_tokens=7, documents=3, lora_rank=5)
    assert spec.modalities == ("macro", "text")
    # Where the panel holds no documents the network does not ask for them.
    assert deep_spec("transformer_gnn", config, seed=1).modalities == ("macro",)
    plan = deep_plan("transformer_gnn", config, code_version="v", documents=True)
    assert plan.make("base", 1).spec.text.documents == 3
    assert not hasattr(deep_spec("mlp", config, seed=1, documents=True), "text")
    with pytest.raises(ConfigError, match=r"lora keeps weights, but text\.weights names no folder"):
        TradingConfig(models={"text": {"how": "lora"}})
    with pytest.raises(ConfigError, match=r"no multiple of text\.heads"):
        TradingConfig(models={"text": {"dim": 9}})


@pytest.mark.slow
def test_a_model_of_the_library_taught_by_sentences_reads_for_returns(
    labelled: Callable, tiny_bert: Path, news: tuple, test_rows: pl.DataFrame, tmp_path: Path
) -> None:
    """From a folder of the library to sentiment, whole or by adapters that are merged, to returns."""
    texts = ["report of gainae", "lossdi the firm said"]
    for how, folder in (("lora", "adapted"), ("full", "taught")):
        text = TextSpec(how=how, weights=str(tiny_bert), max_tokens=8, documents=2)
        spec = SentimentSpec(text=text, epochs=12, learning_rate=1e-2, batch_sentences=16)
        taught = SentimentClassifier(spec).fit(labelled())
        taught.save(tmp_path / folder)
        again = SentimentClassifier.load(tmp_path / folder)
        np.testing.assert_allclose(
            again.predict(texts)["score"], taught.predict(texts)["score"], atol=1e-5
        )
    assert taught.scores["validation_accuracy"] > 0.8
    frozen = replace(text, how="frozen", weights=str(tmp_path / "taught"))
    found = {}
    for name, folder in (("taught", frozen), ("random", replace(frozen, weights=str(tiny_bert)))):
        fitted = TransformerGNNForecaster(replace(SPEC, text=folder)).fit(news[1])
        found[name] = ic_of(fitted, test_rows)
    assert found["taught"] > 0.5, found
    assert found["taught"] > found["random"] + 0.2, found


def test_frames_of_a_notebook_may_carry_documents(news: tuple, test_rows: pl.DataFrame) -> None:
    from btq_assets.models.search.notebook import question_of
    from btq_assets.models.trainer import train_transformer_model

    panel, data, _ = news
    train, validation = (
        panel.filter(pl.col("ts").is_between(*part)) for part in (data.train, data.validation)
    )
    own = {name: getattr(SPEC, name) for name in (
        "model_dim", "num_heads", "lookback_sessions", "learning_rate", "graph_neighbours", "dropout",
    )}  # fmt: skip
    text = {"dim": 16, "heads": 2, "max_tokens": 8, "documents": 2}
    config = TradingConfig(
        features={"correlation_window_sessions": 40},
        models={
            "horizon_sessions": 1,
            "transformer": {**own, "modalities": ("text",)},
            "text": text,
        },
    )
    fitted = train_transformer_model(config, train, validation, ["noise"], epochs=6, seed=0)
    assert ic_of(fitted, test_rows) > 0.4
    with pytest.raises(MissingFeatureError, match="'documents'"):
        train_transformer_model(config, train.drop(COLUMN), validation.drop(COLUMN), ["noise"])
    with pytest.raises(ModelError, match="a search reads no documents"):
        question_of(config, panel, ["noise"])


@pytest.mark.slow
def test_resumed_and_shared_by_processes_a_fit_that_reads_is_the_same(
    fitted: TransformerGNNForecaster, news: tuple, test_rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Killed in its third epoch and gone on with, to the last bit; by two processes, to float32."""
    from btq_assets.models.training.checkpoint_files import FileCheckpoints

    class KilledError(RuntimeError):
        pass

    def kill(done: int, total: int, found: object) -> None:
        if done == 3:
            raise KilledError

    kept = FileCheckpoints(tmp_path / "state.safetensors", every_steps=4)
    with pytest.raises(KilledError):
        TransformerGNNForecaster(SPEC).fit(news[1], kill, checkpoints=kept)
    resumed = TransformerGNNForecaster(SPEC).fit(news[1], checkpoints=kept)
    expected = fitted.predict(test_rows)["forecast"]
    np.testing.assert_array_equal(resumed.predict(test_rows)["forecast"], expected)
    shared = TransformerGNNForecaster(replace(SPEC, processes=2)).fit(news[1])
    found = shared.predict(test_rows)["forecast"]
    assert np.corrcoef(found, expected)[0, 1] > 0.999
