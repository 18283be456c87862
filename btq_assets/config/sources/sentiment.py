"""Settings of the sources of documents, and of how documents are linked, compared and scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from btq_assets.config.base import Section
from btq_assets.config.sources.base import DAY, MONTH, ProviderSection

#: Names under which a text may speak of an instrument of the sample. Names that are also ordinary
#: words or another company's ("Target", "Merck") are left out: a link is stated or it is not made.
COMPANIES: dict[str, tuple[str, ...]] = {
    "AAPL": ("Apple",),
    "AMD": ("AMD", "Advanced Micro Devices"),
    "AMZN": ("Amazon", "Amazon.com"),
    "BAC": ("Bank of America", "BofA"),
    "BBY": ("Best Buy",),
    "CVX": ("Chevron",),
    "GE": ("General Electric", "GE Aerospace"),
    "GOOG": ("Google", "Alphabet Inc"),
    "HD": ("Home Depot",),
    "IBM": ("IBM", "International Business Machines"),
    "JNJ": ("Johnson & Johnson", "J&J"),
    "JPM": ("JPMorgan", "JP Morgan", "J.P. Morgan"),
    "KO": ("Coca-Cola", "Coca Cola"),
    "LLY": ("Eli Lilly",),
    "MRK": ("Merck & Co",),
    "MSFT": ("Microsoft",),
    "NFLX": ("Netflix",),
    "NVDA": ("Nvidia", "NVIDIA"),
    "PEP": ("PepsiCo",),
    "PFE": ("Pfizer",),
    "PG": ("Procter & Gamble", "P&G"),
    "RRC": ("Range Resources",),
    "UNH": ("UnitedHealth",),
    "WMT": ("Walmart",),
    "XOM": ("ExxonMobil", "Exxon Mobil", "Exxon"),
}


class DocumentsSection(Section):
    """What is done with documents of every source: whom they are about, and how they sound."""

    companies: dict[str, tuple[str, ...]] = Field(
        COMPANIES, description="Symbol → names a text may use for it, as they are written."
    )
    languages: tuple[str, ...] = Field(
        ("en",), description="Documents known to be in another language are not scored."
    )
    min_relevance: float = Field(
        0.1, ge=0, le=1, description="Links a source itself calls weaker than this are left out."
    )
    duplicate_similarity: float = Field(
        0.7,
        ge=0.5,
        le=1,
        description="Jaccard similarity of word pairs from which two texts are one story.",
    )
    duplicate_window_hours: float = Field(
        72.0, ge=0, le=8_760, description="A story told again after so many hours counts again."
    )
    scorer: Literal["vader", "transformer", "minilm"] = "vader"
    model: str = Field(
        "",
        description="transformer: local folder or hub name of a sequence-classification model.",
    )
    labelled_texts: str = Field(
        "", description="minilm: CSV of text and label (negative, neutral, positive)."
    )

    @model_validator(mode="after")
    def _check(self) -> DocumentsSection:
        owner: dict[str, str] = {}
        for symbol, names in self.companies.items():
            for name in names:
                if not name.strip():
                    raise ValueError(f"companies.{symbol} holds an empty name")
                if owner.setdefault(name, symbol) != symbol:
                    raise ValueError(
                        f"companies: {name!r} is given to {owner[name]} and to {symbol}; a name "
                        "must belong to one symbol"
                    )
        if self.scorer == "transformer" and not self.model:
            raise ValueError("scorer: transformer needs model, a local folder or a hub name")
        if self.scorer == "minilm" and not self.labelled_texts:
            raise ValueError("scorer: minilm needs labelled_texts, a CSV of text and label")
        return self


class RssSourceSection(ProviderSection):
    """RSS and Atom feeds: what they show now."""

    feeds: tuple[str, ...] = Field((), description="Addresses of the feeds.")
    answers_fresh_hours: float = Field(0.25, ge=0, le=8_760)

    @model_validator(mode="after")
    def _check(self) -> RssSourceSection:
        if self.enabled and not self.feeds:
            raise ValueError("rss is enabled without feeds; list their addresses in rss.feeds")
        return self


class GdeltSourceSection(ProviderSection):
    """GDELT DOC 2.0: titles of online news by query."""

    queries: tuple[str, ...] = Field(
        ('"Apple Inc" sourcelang:english',), description="In GDELT's own query language."
    )
    start_month: str = Field("2024-01", pattern=MONTH)
    calls_per_minute: float = Field(10.0, gt=0, le=6_000)


class AlphaVantageNewsSourceSection(ProviderSection):
    """Alpha Vantage NEWS_SENTIMENT: news with tickers and their relevance."""

    symbols: tuple[str, ...] = ("AAPL", "MSFT")
    start_month: str = Field("2024-01", pattern=MONTH)
    calls_per_minute: float = Field(5.0, gt=0, le=6_000)
    page_size: int = Field(1_000, ge=2, le=1_000)


class RedditSourceSection(ProviderSection):
    """Newest posts of subreddits, through the official API."""

    subreddits: tuple[str, ...] = ("stocks", "investing")
    max_pages: int = Field(10, ge=1, le=10, description="Pages of 100 posts each.")
    user_agent: str = Field(
        "python:btquant:0.1 (research)", min_length=8, description="Reddit refuses default ones."
    )
    token_url: str = Field("", description="Another token server; empty means Reddit's own.")
    answers_fresh_hours: float = Field(0.25, ge=0, le=8_760)


class XSourceSection(ProviderSection):
    """Posts of the last seven days on X by query, through the official API."""

    queries: tuple[str, ...] = ("($AAPL OR $MSFT) lang:en -is:retweet",)
    max_pages: int = Field(
        5, ge=1, le=100, description="Pages of 100 posts each; X bills by the post."
    )
    answers_fresh_hours: float = Field(0.25, ge=0, le=8_760)


class EdgarSourceSection(ProviderSection):
    """Filings with the SEC."""

    companies: dict[str, int] = Field(
        {"AAPL": 320_193, "MSFT": 789_019}, description="Symbol → central index key (CIK)."
    )
    forms: tuple[str, ...] = ("8-K", "8-K/A", "10-K", "10-K/A", "10-Q", "10-Q/A")
    start_day: str = Field("2020-01-01", pattern=DAY)
    text_forms: tuple[str, ...] = Field(
        (),
        description="Forms whose main document is fetched too, one request each: 8-K, for example.",
    )
    archives_url: str = Field(
        "", description="Another server of documents; empty means the SEC's own."
    )
    contact: str = Field(
        "", description="Your name and mail address: the SEC refuses requests without."
    )
    calls_per_minute: float = Field(300.0, gt=0, le=600)

    @model_validator(mode="after")
    def _check(self) -> EdgarSourceSection:
        if self.enabled and "@" not in self.contact:
            raise ValueError(
                "edgar.contact must hold a name and a mail address, such as 'Jane Doe "
                "jane@example.org': the SEC asks for it in every request"
            )
        return self


class ReportsSourceSection(Section):
    """Analyst reports dropped in a folder: PDF, HTML and text."""

    enabled: bool = False
    path: str = "reports"
    timezone: str = Field("UTC", description="Zone of dates and times stated in the files.")
    max_file_mib: float = Field(50.0, gt=0, le=1_024)
    max_pages: int = Field(500, ge=1, le=10_000)
