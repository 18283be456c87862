"""Settings of the sources: what is fetched, from where, how patiently.

Belongs here: one class per source, in the file of its kind, and `SourcesSection`, which lists them.
"""

from __future__ import annotations

from pydantic import Field

from btq_assets.config.base import Section
from btq_assets.config.sources.alternative import (
    CboeSourceSection,
    CoinMetricsSourceSection,
    DefiLlamaSourceSection,
    DeribitSourceSection,
    DeribitTradesSourceSection,
    FearGreedSourceSection,
    FinraAtsSourceSection,
    FinraShortVolumeSourceSection,
    OptionMetricsSection,
    OptionsSampleSection,
    OptionSweepsSection,
    StablecoinsSourceSection,
)
from btq_assets.config.sources.base import ProviderSection
from btq_assets.config.sources.macro import (
    AlfredSourceSection,
    EcbRatesSourceSection,
    FredSourceSection,
    TreasurySourceSection,
    VixSourceSection,
)
from btq_assets.config.sources.market import (
    AlphaVantageSourceSection,
    BarsProviderSection,
    BinanceSourceSection,
    CcxtSourceSection,
    EcbSourceSection,
    FolderSourceSection,
    NasdaqDataLinkSourceSection,
    SampleSourceSection,
    YahooSourceSection,
)
from btq_assets.config.sources.repairs import RepairsSection
from btq_assets.config.sources.sentiment import (
    AlphaVantageNewsSourceSection,
    DocumentsSection,
    EdgarSourceSection,
    GdeltSourceSection,
    RedditSourceSection,
    ReportsSourceSection,
    RssSourceSection,
    XSourceSection,
)
from btq_assets.config.sources.stream import StreamSourceSection
from btq_assets.config.sources.synthetic import SyntheticSourceSection


class SourcesSection(Section):
    """Where data come from."""

    replay: bool = Field(
        False, description="Ask no remote provider: parse the answers stored in data/answers again."
    )
    repairs: RepairsSection = RepairsSection()
    sample: SampleSourceSection = SampleSourceSection()
    folder: FolderSourceSection = FolderSourceSection()
    yahoo: YahooSourceSection = YahooSourceSection()
    binance: BinanceSourceSection = BinanceSourceSection()
    ccxt: CcxtSourceSection = CcxtSourceSection()
    alpha_vantage: AlphaVantageSourceSection = AlphaVantageSourceSection()
    nasdaq_data_link: NasdaqDataLinkSourceSection = NasdaqDataLinkSourceSection()
    ecb: EcbSourceSection = EcbSourceSection()
    fred: FredSourceSection = FredSourceSection()
    alfred: AlfredSourceSection = AlfredSourceSection()
    treasury: TreasurySourceSection = TreasurySourceSection()
    vix: VixSourceSection = VixSourceSection()
    ecb_rates: EcbRatesSourceSection = EcbRatesSourceSection()
    cboe: CboeSourceSection = CboeSourceSection()
    deribit: DeribitSourceSection = DeribitSourceSection()
    deribit_trades: DeribitTradesSourceSection = DeribitTradesSourceSection()
    finra_ats: FinraAtsSourceSection = FinraAtsSourceSection()
    finra_short_volume: FinraShortVolumeSourceSection = FinraShortVolumeSourceSection()
    coinmetrics: CoinMetricsSourceSection = CoinMetricsSourceSection()
    defillama: DefiLlamaSourceSection = DefiLlamaSourceSection()
    stablecoins: StablecoinsSourceSection = StablecoinsSourceSection()
    fear_greed: FearGreedSourceSection = FearGreedSourceSection()
    options_sample: OptionsSampleSection = OptionsSampleSection()
    option_metrics: OptionMetricsSection = OptionMetricsSection()
    option_sweeps: OptionSweepsSection = OptionSweepsSection()
    documents: DocumentsSection = DocumentsSection()
    rss: RssSourceSection = RssSourceSection()
    gdelt: GdeltSourceSection = GdeltSourceSection()
    alpha_vantage_news: AlphaVantageNewsSourceSection = AlphaVantageNewsSourceSection()
    reddit: RedditSourceSection = RedditSourceSection()
    x: XSourceSection = XSourceSection()
    edgar: EdgarSourceSection = EdgarSourceSection()
    reports: ReportsSourceSection = ReportsSourceSection()
    stream: StreamSourceSection = StreamSourceSection()
    synthetic: SyntheticSourceSection = SyntheticSourceSection()


__all__ = [
    "AlfredSourceSection",
    "AlphaVantageNewsSourceSection",
    "AlphaVantageSourceSection",
    "BarsProviderSection",
    "BinanceSourceSection",
    "CboeSourceSection",
    "CcxtSourceSection",
    "CoinMetricsSourceSection",
    "DefiLlamaSourceSection",
    "DeribitSourceSection",
    "DeribitTradesSourceSection",
    "DocumentsSection",
    "EcbRatesSourceSection",
    "EcbSourceSection",
    "EdgarSourceSection",
    "FearGreedSourceSection",
    "FinraAtsSourceSection",
    "FinraShortVolumeSourceSection",
    "FolderSourceSection",
    "FredSourceSection",
    "GdeltSourceSection",
    "NasdaqDataLinkSourceSection",
    "OptionMetricsSection",
    "OptionSweepsSection",
    "OptionsSampleSection",
    "ProviderSection",
    "RedditSourceSection",
    "RepairsSection",
    "ReportsSourceSection",
    "RssSourceSection",
    "SampleSourceSection",
    "SourcesSection",
    "StablecoinsSourceSection",
    "StreamSourceSection",
    "SyntheticSourceSection",
    "TreasurySourceSection",
    "VixSourceSection",
    "XSourceSection",
    "YahooSourceSection",
]
