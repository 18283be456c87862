"""How each of TA-Lib's indicators is called, and brought to one scale.

Belongs here: function, inputs, parameters and form of each. Does not belong here: names and bounds of
the columns (`contracts.features.talib`), the rows they run over (`features.stretches`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl
import polars_talib as talib
from polars_talib._polars_talib import lookback as talib_lookback

from btq_assets.contracts.features.talib import PATTERNS
from btq_assets.features.definitions import ratio

O, H, L, C, V = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))  # noqa: E741
_INPUTS = {"O": O, "H": H, "L": L, "C": C, "v": V}
NEEDS = {
    "O": ("adj_open",),
    "H": ("adj_high",),
    "L": ("adj_low",),
    "C": ("adj_close",),
    "v": ("volume", "close", "adj_close"),
}

#: Sessions in a row in which the close, or the whole bar, stayed as it was.
_STILL_CLOSE, _STILL_BAR = pl.col("still_close"), pl.col("still_bar")

#: Functions of TA-Lib that are not here, and why.
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        ("acos", "asin", "atan", "ceil", "cos", "cosh", "exp", "floor", "ln", "log10", "sin",
         "sinh", "sqrt", "tan", "tanh"),
        "a transform of one number",
    ),
    **dict.fromkeys(("add", "sub", "mult", "div"), "arithmetic of two numbers"),
    **dict.fromkeys(("cumsum", "vwap"), "depends on where a history begins"),
    **dict.fromkeys(("minmax", "minmaxindex"), "min and max in one call"),
    **dict.fromkeys(("rocp", "rocr", "rocr100"), "roc on another scale"),
    "sum": "sma on another scale",
    "ma": "a choice between the averages",
    "atr": "natr is atr over the close",
}  # fmt: skip

#: What is done with an output: a word, or a function of it and of the parameters with its formula.
Form: TypeAlias = str | tuple[Callable[[pl.Expr, tuple[int, ...]], pl.Expr], str]


@dataclass(frozen=True)
class Call:
    """How an indicator is computed.

    Parameters
    ----------
    function
        Name in polars_talib.
    inputs
        Letters of `_INPUTS`, in the function's order.
    names
        Names of the function's parameters, in the order of the column's; further ones are for
        `form`.
    form
        ``level``: over the close, less one. ``price``: over the close. ``plain``: as it is.
        Otherwise a function of the call, the output and the parameters, and what it does in words.
    part
        Of the output, where the function has several.
    fixed
        Parameters that no column varies.
    recursive
        Whether every earlier value carries on.
    more
        Sessions of look-back beyond the function's own, given the parameters.
    """

    function: str
    inputs: str
    names: tuple[str, ...] = ()
    form: Form = "plain"
    part: str = ""
    fixed: Mapping[str, Any] | None = None
    recursive: bool = False
    more: Callable[[tuple[int, ...]], int] = lambda _: 0

    def arguments(self, parameters: tuple[int, ...]) -> dict[str, Any]:
        """Arguments of the function."""
        return {**dict(zip(self.names, parameters, strict=False)), **(self.fixed or {})}

    def lookback(self, parameters: tuple[int, ...]) -> int:
        """Sessions before the first value, as TA-Lib says."""
        return talib_lookback(self.function, self.arguments(parameters) or None) + self.more(
            parameters
        )

    def expression(self, parameters: tuple[int, ...]) -> pl.Expr:
        """Expression over one stretch of bars."""
        inputs = [_INPUTS[letter] for letter in self.inputs]
        found = getattr(talib, self.function)(*inputs, **self.arguments(parameters))
        if self.part:
            found = found.struct.field(self.part)
        found = found.cast(pl.Float64)
        if self.form == "level":
            return found / C - 1
        if self.form == "price":
            return found / C
        if isinstance(self.form, tuple):
            return self.form[0](found, parameters)
        still = _STILL_BAR if set(self.inputs) & set("OHL") else _STILL_CLOSE
        span = self.lookback(parameters)
        # TA-Lib says 0 where a window does not move; nothing divided by nothing is no number.
        return pl.when(still < max(span, 1)).then(found)

    def formula(self, parameters: tuple[int, ...]) -> str:
        """The same in words."""
        inputs = ", ".join(self.inputs)
        arguments = "".join(f", {k}={v}" for k, v in self.arguments(parameters).items())
        part = f".{self.part}" if self.part else ""
        call = f"{self.function.upper()}({inputs}{arguments}){part}"
        if self.form == "level":
            return f"{call} / C - 1"
        if self.form == "price":
            return f"{call} / C"
        if isinstance(self.form, tuple):
            named = {f"p{k}": value for k, value in enumerate(parameters)}
            return self.form[1].format(x=call, **named)
        return call


def _n(function: str, inputs: str, form: Form = "plain", **more: Any) -> Call:
    return Call(function, inputs, ("timeperiod",), form, **more)


def _volume_change(found: pl.Expr, parameters: tuple[int, ...]) -> pl.Expr:
    n = parameters[0]
    return ratio(found - found.shift(n), V.rolling_sum(n))


_OVER_VOLUME = (_volume_change, "x = {x}; (x - x[t-{p0}]) / sum{p0}(v)")
_CHANGED = (lambda x, p: x / x.shift(p[0]) - 1, "x = {x}; x / x[t-{p0}] - 1")
_DEGREES = (lambda x, p: (x / C).arctan().degrees(), "arctan({x} / C) in degrees")
_SQUARED = (lambda x, p: x / C.pow(2), "{x} / C^2")
_TRADED = (
    lambda x, p: pl.when(V.rolling_sum(p[0]) > 0).then(x),
    "{x}; null where {p0} sessions have no volume",
)
FLAG = (lambda x, p: x.sign(), "sign({x})")
_SINCE = (
    lambda x, p: (pl.int_range(pl.len()) - x) / p[0],
    "(t - {x}) / {p0}",
)
_SHARE = (lambda x, p: pl.when(H > L).then(x), "{x}; null where H = L")


def _first(parameters: tuple[int, ...]) -> int:
    return parameters[0]


_FAST_SLOW = ("fastperiod", "slowperiod")
_STOCH = ("fastk_period", "slowk_period", "slowd_period")
_MACD = (*_FAST_SLOW, "signalperiod")


CALLS: dict[str, Call] = {
    "sma": _n("sma", "C", "level"),
    "ema": _n("ema", "C", "level", recursive=True),
    "wma": _n("wma", "C", "level"),
    "trima": _n("trima", "C", "level"),
    "dema": _n("dema", "C", "level", recursive=True),
    "tema": _n("tema", "C", "level", recursive=True),
    "t3": _n("t3", "C", "level", fixed={"vfactor": 0.7}, recursive=True),
    "kama": _n("kama", "C", "level", recursive=True),
    "hma": _n("hma", "C", "level"),
    "rma": _n("rma", "C", "level", recursive=True),
    "zlema": _n("zlema", "C", "level", recursive=True),
    "vwma": _n("vwma", "Cv", "level"),
    "mama": Call("mama", "C", form="level", part="mama", recursive=True),
    "fama": Call("mama", "C", form="level", part="fama", recursive=True),
    "ht_trendline": Call("ht_trendline", "C", form="level", recursive=True),
    "midpoint": _n("midpoint", "C", "level"),
    "midprice": _n("midprice", "HL", "level"),
    "bbands_upper": _n("bbands", "C", "level", part="upperband"),
    "bbands_lower": _n("bbands", "C", "level", part="lowerband"),
    "accbands_upper": _n("accbands", "HLC", "level", part="upperband"),
    "accbands_lower": _n("accbands", "HLC", "level", part="lowerband"),
    "donchian_upper": _n("donchian", "HL", "level", part="upperband"),
    "donchian_lower": _n("donchian", "HL", "level", part="lowerband"),
    "kc_upper": Call("kc", "HLC", ("timeperiod", "atrperiod"), "level", "upperband", recursive=True),
    "kc_lower": Call("kc", "HLC", ("timeperiod", "atrperiod"), "level", "lowerband", recursive=True),
    "sar": Call("sar", "HL", form="level", recursive=True),
    "sarext": Call(
        "sarext", "HL", form="price",
        fixed={"accelerationinitshort": 0.01, "accelerationshort": 0.01, "accelerationmaxshort": 0.1},
        recursive=True,
    ),
    "supertrend": _n("supertrend", "HLC", "level", part="supertrend", recursive=True),
    "supertrend_side": _n("supertrend", "HLC", FLAG, part="trend", recursive=True),
    "adx": _n("adx", "HLC", recursive=True),
    "adxr": _n("adxr", "HLC", recursive=True),
    "dx": _n("dx", "HLC", recursive=True),
    "plus_di": _n("plus_di", "HLC", recursive=True),
    "minus_di": _n("minus_di", "HLC", recursive=True),
    "plus_dm": _n("plus_dm", "HL", "price", recursive=True),
    "minus_dm": _n("minus_dm", "HL", "price", recursive=True),
    "apo": Call("apo", "C", _FAST_SLOW, "price", fixed={"matype": 1}, recursive=True),
    "ppo": Call("ppo", "C", _FAST_SLOW, fixed={"matype": 1}, recursive=True),
    "macd": Call("macd", "C", _MACD, "price", "macd", recursive=True),
    "macd_signal": Call("macd", "C", _MACD, "price", "macdsignal", recursive=True),
    "macd_hist": Call("macd", "C", _MACD, "price", "macdhist", recursive=True),
    "macdext": Call("macdext", "C", _MACD, "price", "macd"),
    "macdfix_hist": Call("macdfix", "C", ("signalperiod",), "price", "macdhist", recursive=True),
    "aroon_up": _n("aroon", "HL", part="aroonup"),
    "aroon_down": _n("aroon", "HL", part="aroondown"),
    "aroonosc": _n("aroonosc", "HL"),
    "bop": Call("bop", "OHLC", form=_SHARE),
    "cci": _n("cci", "HLC"),
    "cmo": _n("cmo", "C", recursive=True),
    "cmou": _n("cmou", "C"),
    "coppock": Call("coppock", "C", ("wmaperiod", "roc1period", "roc2period")),
    "dpo": _n("dpo", "C", "price"),
    "er": _n("er", "C"),
    "eri_bull": _n("eri", "HLC", "price", part="bullpower", recursive=True),
    "eri_bear": _n("eri", "HLC", "price", part="bearpower", recursive=True),
    "fosc": _n("fosc", "C"),
    "fractal_high": Call("fractal", "HL", ("leftbars", "rightbars"), FLAG, "swinghigh"),
    "fractal_low": Call("fractal", "HL", ("leftbars", "rightbars"), FLAG, "swinglow"),
    "imi": _n("imi", "OC"),
    "kdj_k": Call("kdj", "HLC", _STOCH, part="k", recursive=True),
    "kdj_d": Call("kdj", "HLC", _STOCH, part="d", recursive=True),
    "kdj_j": Call("kdj", "HLC", _STOCH, part="j", recursive=True),
    "mfi": _n("mfi", "HLCv", _TRADED),
    "mom": _n("mom", "C", "price"),
    "roc": _n("roc", "C"),
    "qstick": _n("qstick", "OC", "price"),
    "rsi": _n("rsi", "C", recursive=True),
    "smi": Call("smi", "HLC", ("timeperiod", *_MACD), part="smi", recursive=True),
    "smi_signal": Call("smi", "HLC", ("timeperiod", *_MACD), part="smisignal", recursive=True),
    "stoch_k": Call("stoch", "HLC", _STOCH, part="slowk"),
    "stoch_d": Call("stoch", "HLC", _STOCH, part="slowd"),
    "stochf_k": Call("stochf", "HLC", ("fastk_period", "fastd_period"), part="fastk"),
    "stochf_d": Call("stochf", "HLC", ("fastk_period", "fastd_period"), part="fastd"),
    "stochrsi_k": Call(
        "stochrsi", "C", ("timeperiod", "fastk_period", "fastd_period"), part="fastk", recursive=True
    ),
    "stochrsi_d": Call(
        "stochrsi", "C", ("timeperiod", "fastk_period", "fastd_period"), part="fastd", recursive=True
    ),
    "trix": _n("trix", "C", recursive=True),
    "tsi": Call("tsi", "C", ("firstperiod", "secondperiod"), recursive=True),
    "ultosc": Call("ultosc", "HLC", ("timeperiod1", "timeperiod2", "timeperiod3")),
    "vhf": _n("vhf", "C"),
    "vortex_plus": _n("vortex", "HLC", part="plusvi"),
    "vortex_minus": _n("vortex", "HLC", part="minusvi"),
    "wad": Call(
        "wad", "HLC", form=(lambda x, p: (x - x.shift(p[0])) / C, "x = {x}; (x - x[t-{p0}]) / C"),
        more=_first,
    ),
    "willr": _n("willr", "HLC"),
    "ao": Call("ao", "HL", _FAST_SLOW, "price"),
    "ac": Call("ac", "HL", _MACD, "price"),
    "ht_dcperiod": Call("ht_dcperiod", "C", recursive=True),
    "ht_dcphase": Call("ht_dcphase", "C", recursive=True),
    "ht_inphase": Call("ht_phasor", "C", form="price", part="inphase", recursive=True),
    "ht_quadrature": Call("ht_phasor", "C", form="price", part="quadrature", recursive=True),
    "ht_sine": Call("ht_sine", "C", part="sine", recursive=True),
    "ht_leadsine": Call("ht_sine", "C", part="leadsine", recursive=True),
    "ht_trendmode": Call("ht_trendmode", "C", recursive=True),
    "natr": _n("natr", "HLC", recursive=True),
    "trange": Call("trange", "HLC", form="price"),
    "adr": _n("adr", "HL", "price"),
    "cvi": Call("cvi", "HL", ("timeperiod", "rocperiod"), recursive=True),
    "massi": Call("massi", "HL", _FAST_SLOW, recursive=True),
    "rvi": Call("rvi", "C", ("timeperiod", "stddevperiod"), recursive=True),
    "avgdev": _n("avgdev", "C", "price"),
    "stddev": _n("stddev", "C", "price"),
    "var": _n("var", "C", _SQUARED),
    "ad": Call("ad", "HLCv", form=_OVER_VOLUME, more=_first),
    "adosc": Call(
        "adosc", "HLCv", _FAST_SLOW,
        (lambda x, p: ratio(x, V.rolling_mean(p[1])), "{x} / mean{p1}(v)"), recursive=True,
    ),
    "cmf": _n("cmf", "HLCv", _TRADED),
    "efi": _n(
        "efi", "Cv",
        (lambda x, p: ratio(x, C * V.rolling_mean(p[0])), "{x} / (C mean{p0}(v))"), recursive=True,
    ),
    "marketfi": Call(
        "marketfi", "HLv",
        form=(
            lambda x, p: ratio(
                pl.when(V > 0).then(x), pl.when(V > 0).then(x).rolling_mean(p[0])
            ),
            "x = {x}; x / mean{p0}(x), null where one of the sessions has no volume",
        ),
        more=lambda p: p[0] - 1,
    ),
    "nvi": Call("nvi", "Cv", form=_CHANGED, more=_first),
    "pvi": Call("pvi", "Cv", form=_CHANGED, more=_first),
    "obv": Call("obv", "Cv", form=_OVER_VOLUME, more=_first),
    "pvt": Call("pvt", "Cv", form=_OVER_VOLUME, more=_first),
    "pvo": Call("pvo", "v", _FAST_SLOW, (lambda x, p: x, "{x}"), fixed={"matype": 1}, recursive=True),
    "rvol": _n("rvol", "v", (lambda x, p: x, "{x}")),
    "beta": _n("beta", "HL"),
    "correl": _n("correl", "HL"),
    "correl_volume": _n("correl", "Cv"),
    "linearreg": _n("linearreg", "C", "level"),
    "linearreg_slope": _n("linearreg_slope", "C", "price"),
    "linearreg_angle": _n("linearreg_slope", "C", _DEGREES),
    "linearreg_intercept": _n("linearreg_intercept", "C", "level"),
    "tsf": _n("tsf", "C", "level"),
    "percentile": Call("percentile", "C", ("timeperiod", "percentile"), "level"),
    "percentrank": _n("percentrank", "C"),
    "max": _n("max", "C", "level"),
    "min": _n("min", "C", "level"),
    "maxindex": _n("maxindex", "C", _SINCE),
    "minindex": _n("minindex", "C", _SINCE),
    "avgprice": Call("avgprice", "OHLC", form="level"),
    "medprice": Call("medprice", "HL", form="level"),
    "typprice": Call("typprice", "HLC", form="level"),
    "wclprice": Call("wclprice", "HLC", form="level"),
    "ha_open": Call("ha", "OHLC", form="level", part="haopen", recursive=True),
    "ha_close": Call("ha", "OHLC", form="level", part="haclose"),
    "ha_high": Call("ha", "OHLC", form="level", part="hahigh", recursive=True),
    "ha_low": Call("ha", "OHLC", form="level", part="halow", recursive=True),
    **{f"cdl{name}": Call(f"cdl{name}", "OHLC", form=FLAG) for name in PATTERNS},
}  # fmt: skip
