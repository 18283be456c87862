"""Raw answers on disk: what is kept, found again, and how damage reads as absence."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.sources.answers import Answer, AnswerStore

NOW = dt.datetime(2024, 5, 6, 7, tzinfo=dt.UTC)


def answer(address: str = "a", body: bytes = b"1,2\n", **headers: str) -> Answer:
    return Answer(address, NOW, headers, body)


@settings(max_examples=40, deadline=None)
@given(address=st.text(min_size=1, max_size=40), body=st.binary(max_size=300))
def test_an_answer_is_found_as_it_was_kept(tmp_path_factory, address, body):
    store = AnswerStore(tmp_path_factory.mktemp("answers"))
    kept = Answer(address, NOW, {"etag": '"x"'}, body)
    store.keep(kept)
    assert store.find(address) == kept


def test_a_newer_answer_takes_the_place_of_the_older_one(tmp_path):
    store = AnswerStore(tmp_path)
    store.keep(answer(body=b"old"))
    store.keep(answer(body=b"new"))
    assert store.find("a").body == b"new"
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 1


def test_only_headers_for_conditional_requests_are_kept(tmp_path):
    store = AnswerStore(tmp_path)
    store.keep(answer(**{"etag": "1", "set-cookie": "session=secret", "last-modified": "then"}))
    assert store.find("a").headers == {"etag": "1", "last-modified": "then"}


def test_the_same_answer_makes_the_same_file(tmp_path):
    for name in ("one", "two"):
        AnswerStore(tmp_path / name).keep(answer())
    one, two = (next((tmp_path / name).rglob("*.gz")).read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("age_hours", "hours", "found"), [(1, 12, True), (13, 12, False), (0, 0, True), (1, 0, False)]
)
def test_freshness_is_a_matter_of_age(tmp_path, age_hours, hours, found):
    store = AnswerStore(tmp_path)
    store.keep(answer())
    later = NOW + dt.timedelta(hours=age_hours)
    assert (store.fresh("a", later, hours) is not None) is found


def test_every_cut_and_every_flipped_byte_reads_as_another_body_or_as_none(tmp_path):
    """Whatever a disk does to a file, looking for it does not raise."""
    store = AnswerStore(tmp_path)
    store.keep(answer(body=bytes(range(256))))
    file = next(tmp_path.rglob("*.gz"))
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place])
        assert store.find("a") is None
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        file.write_bytes(bytes(flipped))
        found = store.find("a")
        # The gzip header holds bytes nobody reads (time, system, name flags).
        assert found is None or found.body == bytes(range(256))


@pytest.mark.parametrize(
    "head",
    [[], {}, {"address": "a"}, {"address": "a", "fetched_at": 3, "headers": {}}, None],
)
def test_a_head_of_another_shape_is_no_answer(tmp_path, head):
    store = AnswerStore(tmp_path)
    store.keep(answer())
    file = next(tmp_path.rglob("*.gz"))
    file.write_bytes(gzip.compress(json.dumps(head).encode() + b"\nbody"))
    assert store.find("a") is None


def test_an_answer_in_the_place_of_another_question_is_not_taken_for_its_answer(tmp_path):
    store = AnswerStore(tmp_path)
    store.keep(answer("a"))
    store.keep(answer("b", body=b"other"))
    store._file("b").replace(store._file("a"))
    assert store.find("a") is None


def test_a_write_that_fails_leaves_the_older_answer_and_no_rubbish(tmp_path, monkeypatch):
    store = AnswerStore(tmp_path)
    store.keep(answer(body=b"old"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.keep(answer(body=b"new"))
    monkeypatch.undo()
    assert store.find("a").body == b"old"
    assert [file.suffix for file in tmp_path.rglob("*") if file.is_file()] == [".gz"]


def test_answers_are_readable_by_their_owner_only(tmp_path):
    AnswerStore(tmp_path).keep(answer())
    file = next(tmp_path.rglob("*.gz"))
    assert file.stat().st_mode & 0o077 == 0
