"""The same story told twice: near-duplicate headlines across sources.

Belongs here: which documents tell one story. Does not belong here: what a story counts for.

Headlines are compared as sets of word pairs; two are alike when their Jaccard similarity reaches a
threshold. MinHash with locality-sensitive hashing (datasketch; Broder 1997, Indyk and Motwani 1998)
proposes pairs, and each proposal is checked exactly. A story begins with its earliest document, and
a later document joins the earliest open story that begins with a headline like its own. So a
document's story depends on earlier documents only: nothing that comes later can change it, nor can
the order in which rows are given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import polars as pl

#: Permutations of the MinHash.
PERMUTATIONS = 128
#: Share of alike pairs that may fail to be proposed.
MISSED = 1e-6
_LONGEST_BAND = 8
_PAIR = 2

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_ADDRESS = re.compile(r"https?://\S+")
#: " - Reuters", " | The Wall Street Journal": the name of the site at the end of a title.
_SITE = re.compile(r"\s+[|\u2013\u2014-]\s+(?:[^\s|]+\s?){1,4}$")


def shingles(headline: str) -> frozenset[str]:
    """Word pairs of a headline, without its site's name; a headline of one word is that word."""
    plain = _ADDRESS.sub(" ", headline)
    shortened = _SITE.sub("", plain)
    words = _WORD.findall((shortened if len(shortened) >= len(plain) / 2 else plain).lower())
    if len(words) < _PAIR:
        return frozenset(words)
    return frozenset(" ".join(pair) for pair in pairwise(words))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity; 0 where either is empty."""
    if not one or not other:
        return 0.0
    return len(one & other) / len(one | other)


def stories(documents: pl.DataFrame, *, threshold: float, window: timedelta) -> pl.DataFrame:
    """The story of each document.

    Parameters
    ----------
    documents
        Columns ``doc_id``, ``known_at``, ``headline``; rows of one document and time (one for each
        symbol) must agree.
    threshold
        Jaccard similarity from which two headlines are alike.
    window
        From the beginning of a story: what comes later begins a new one.

    Returns
    -------
    polars.DataFrame
        One row per document and time: ``doc_id``, ``known_at``, ``cluster_id`` (of the document the
        story begins with), ``first_known_at`` (its time).
    """
    listed = (
        documents.select("doc_id", "known_at", "headline")
        .unique()
        .sort("known_at", "doc_id", "headline")
    )
    texts = listed["headline"].to_list()
    sets = {text: shingles(text) for text in dict.fromkeys(texts)}
    alike = _alike(sets, threshold)
    #: Headline a story begins with → the latest such story: (first_known_at, cluster_id).
    begun: dict[frozenset[str], tuple[object, str]] = {}
    clusters: list[str] = []
    beginnings: list[object] = []
    for doc_id, known_at, headline in listed.iter_rows():
        own = sets[headline]
        open_stories = [
            begun[other]
            for other in alike.get(own, ())
            if other in begun and known_at - begun[other][0] <= window
        ]
        story = (
            min(open_stories)
            if open_stories
            else (known_at, f"{doc_id}@{known_at:%Y%m%dT%H%M%S%f}")
        )
        if not open_stories and own:
            begun[own] = story
        beginnings.append(story[0])
        clusters.append(story[1])
    return listed.select("doc_id", "known_at").with_columns(
        cluster_id=pl.Series(clusters, dtype=pl.String),
        first_known_at=pl.Series(beginnings, dtype=listed.schema["known_at"]),
    )


def _alike(
    sets: dict[str, frozenset[str]], threshold: float
) -> dict[frozenset[str], list[frozenset[str]]]:
    """For each set of word pairs, those alike, itself included."""
    distinct = sorted(set(sets.values()) - {frozenset()}, key=sorted)
    hashes = _minhashes(distinct)
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
    for number, hashed in enumerate(hashes):
        index.insert(number, hashed)
    return {
        own: [
            distinct[other]
            for other in sorted({*index.query(hashes[number]), number})
            if similarity(own, distinct[other]) >= threshold
        ]
        for number, own in enumerate(distinct)
    }


def bands(threshold: float) -> tuple[int, int]:
    """Number and length of the bands: the longest that miss hardly a pair at the threshold.

    A pair of similarity s is proposed with probability 1 - (1 - s^r)^b by b bands of r (Leskovec,
    Rajaraman and Ullman, Mining of Massive Datasets, 3.4.2). Longer bands propose less in vain.
    """
    for length in range(_LONGEST_BAND, 1, -1):
        number = PERMUTATIONS // length
        if (1 - threshold**length) ** number <= MISSED:
            return number, length
    return PERMUTATIONS, 1


def _minhashes(sets: Sequence[frozenset[str]]) -> list:
    from datasketch import MinHash

    return list(
        MinHash.generator(
            ([pair.encode() for pair in sorted(one)] for one in sets),
            num_perm=PERMUTATIONS,
            seed=1,
        )
    )
