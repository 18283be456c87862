"""Finance words for the headline scorer, with valences from -4 to 4.

Belongs here: a small list of our own writing, of words that general English lists miss or read the
wrong way round. Does not belong here: words taken from licensed lists.
"""

from __future__ import annotations

#: Valence of words a trader reads as good or bad; scale of VADER's own lexicon.
FINANCE_LEXICON: dict[str, float] = {
    # results and guidance
    "beat": 1.8, "beats": 1.8, "outperform": 2.2, "outperforms": 2.2, "outperformed": 2.2,
    "miss": -1.8, "misses": -1.8, "missed": -1.7, "underperform": -2.2, "underperforms": -2.2,
    "raises": 1.3, "raised": 1.2, "hikes": 0.8, "lifts": 1.3, "boosts": 1.8, "tops": 1.5,
    "cuts": -1.4, "slashes": -2.2, "slashed": -2.2, "trims": -1.0, "lowers": -1.3,
    "lowered": -1.3, "withdraws": -1.7, "reaffirms": 0.6, "guidance": 0.0, "profit": 1.2,
    "profits": 1.2, "profitable": 1.8, "loss": -1.6, "losses": -1.7, "writedown": -2.2,
    "write-down": -2.2, "impairment": -1.9, "shortfall": -2.0, "record": 1.2, "growth": 1.3,
    # prices
    "rally": 1.9, "rallies": 1.9, "rallied": 1.8, "surge": 1.9, "surges": 2.0, "surged": 2.0,
    "soar": 2.2, "soars": 2.2, "soared": 2.2, "jumps": 1.6, "jumped": 1.5, "climbs": 1.3,
    "gains": 1.4, "rebound": 1.4, "rebounds": 1.4, "rises": 1.1, "rose": 1.0, "high": 0.4,
    "plunge": -2.4, "plunges": -2.5, "plunged": -2.4, "slump": -2.1, "slumps": -2.1,
    "slumped": -2.1, "tumble": -2.1, "tumbles": -2.1, "tumbled": -2.0, "slides": -1.5,
    "falls": -1.2, "fell": -1.1, "drops": -1.3, "dropped": -1.2, "sinks": -1.8, "selloff": -2.0,
    "sell-off": -2.0, "crash": -3.0, "crashes": -3.0, "volatile": -0.8, "bullish": 2.3,
    "bearish": -2.3, "bull": 1.2, "bear": -1.2, "oversold": 0.4, "overvalued": -1.4,
    "undervalued": 1.4,
    # analysts and capital
    "upgrade": 2.0, "upgrades": 2.0, "upgraded": 2.0, "downgrade": -2.0, "downgrades": -2.0,
    "downgraded": -2.0, "overweight": 1.3, "underweight": -1.3, "buyback": 1.5, "buybacks": 1.5,
    "dividend": 0.8, "dilution": -1.6, "dilutive": -1.6, "accretive": 1.4, "deleveraging": 0.6,
    "leverage": -0.3, "liquidity": 0.3, "insolvent": -3.2, "insolvency": -3.2, "bankruptcy": -3.4,
    "bankrupt": -3.4, "default": -2.6, "defaults": -2.6, "downturn": -1.8, "recession": -2.3,
    "stimulus": 1.0,
    # business and law
    "approval": 1.6, "approves": 1.5, "approved": 1.5, "rejects": -1.5, "rejected": -1.5,
    "lawsuit": -1.7, "lawsuits": -1.7, "probe": -1.5, "investigation": -1.6, "subpoena": -1.9,
    "fraud": -3.2, "fine": -0.8, "fined": -1.9, "settlement": -0.3, "recall": -1.8,
    "recalls": -1.8, "layoffs": -1.9, "layoff": -1.9, "strike": -1.2, "outage": -1.7,
    "breach": -2.0, "delay": -1.3, "delays": -1.3, "halts": -1.5, "halted": -1.5,
    "partnership": 1.2, "expands": 1.2, "expansion": 1.2, "wins": 1.8, "awarded": 1.6,
    "launches": 0.8, "breakthrough": 2.2, "headwinds": -1.4, "tailwinds": 1.4,
    # plain words general lists score, though in a headline they say nothing
    "share": 0.0, "shares": 0.0, "security": 0.0, "interest": 0.0, "trust": 0.0, "united": 0.0,
    "gross": 0.0, "bond": 0.0, "bonds": 0.0, "value": 0.0, "energy": 0.0, "capital": 0.0,
}  # fmt: skip
