"""Each figure of merit has one definition: nobody else defines, or quietly computes, it again.

The names and idioms are looked for in the sources. What is allowed beside `engine.metrics` is listed
with the reason, and an entry that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import btq_assets
from btq_assets.engine import metrics
from btq_assets.evidence.sharpe import sharpe_moments
from btq_assets.risk import measures
from btq_assets.risk.drawdowns import drawdowns

ROOT = Path(btq_assets.__file__).parent
HOME = "engine/metrics/"

#: Rooms whose quantities are features of prices, settings or drawings, not figures of a run.
OTHER_ROOMS = (
    "features/",
    "sources/",
    "regimes/",
    "models/",
    "agents/",
    "portfolio/",
    "contracts/",
)

FIGURE = re.compile(
    r"value_at_risk|(^|_)c?var($|_)|expected_shortfall|drawdown|falls_of|fall_path|underwater|"
    r"sharpe|sortino|calmar|omega|ulcer|pain_|martin|treynor|skewness|kurtosis|tail_ratio|"
    r"annual_return|annual_volatility|turnover|win_rate|profit_factor|expectancy|payoff|kelly|"
    r"information_ratio|tracking_error|_capture|break_even|capacity|(^|_)mae($|_)|(^|_)mfe($|_)"
)

#: Function outside `engine.metrics` whose name says a figure: what it is instead.
NAMED = {
    "backtest/figures.py": {"_information_ratio": "calls the figure, and names the reference"},
    "evidence/assets.py": {"deflated_sharpe": "the asset"},
    "evidence/deflation.py": {"deflated_sharpe_table": "the table"},
    "evidence/gates.py": {"deflated_sharpe_answers": "the gate"},
    "evidence/independence.py": {"_sharpe_variance": "variance between clusters of `calculate_sharpe`"},
    "evidence/sharpe.py": {
        "sharpe_moments": "`central_moments` and the ratio per period",
        "probabilistic_sharpe": "a probability",
        "expected_maximum_sharpe": "an expectation over trials",
        "deflated_sharpe": "a probability",
    },
    "risk/analyzer.py": {
        "calculate_var": "calls `risk.measures`", "calculate_cvar": "calls `risk.measures`",
    },
    "risk/checks.py": {"_drawdowns_agree": "a check, which computes it again on purpose"},
    "risk/drawdowns.py": {
        "drawdowns": "`falls_of`, deepest first", "drawdown_table": "the table",
    },
    "risk/limits.py": {"drawdown_now": "of one number, against a peak that is kept"},
}  # fmt: skip

#: Idiom: where it may stand beside `engine.metrics`, and why.
IDIOMS = {
    # a running maximum
    r"maximum\.accumulate|cum_max\(": {
        "backtest/checks.py": "rows of last known prices",
        "backtest/controls/markets.py": "rows of decisions",
        "evidence/bootstrap.py": "starts of blocks",
        "reports/parts/series.py": "the weekly low of the same path, drawn downwards",
        "risk/checks.py": "a check, which computes it again on purpose",
        "risk/held.py": "rows of last known prices",
    },
    # a quantile by sorting: value at risk and the mean beyond it
    r"np\.partition": {},
    # a mean over a deviation
    r"mean\([^()]*\)\s*/\s*[\w.\[\]]*(std|deviation|spread)\b": {
        "backtest/robustness/stresses.py": "of many paths at once; test_robustness compares",
    },
    # higher moments
    r"deviation\s*\*\*\s*[34]|\bz\s*\*\*\s*[34]": {},
}

#: The same figures of compiled loops and of resampled means, each compared with `engine.metrics`.
COMPARED = {
    "backtest/sweep_kernel.py": "tests/unit/backtest/test_sweeps.py",
    "backtest/intervals.py": "tests/unit/backtest/test_figures.py",
    "engine/resampling_kernel.py": "tests/unit/backtest/test_figures.py",
    "risk/measures.py": "below: moments of many windows at once",
}


def sources():
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith((HOME, *OTHER_ROOMS)):
            yield name, path.read_text()


def code_of(text):
    """Source without docstrings and comments."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def second_definitions(files):
    found = set()
    for name, text in files:
        for node in ast.walk(ast.parse(text)):
            figure = isinstance(node, ast.FunctionDef) and FIGURE.search(node.name)
            # the report calls its charts after what they show
            if figure and not name.startswith("reports/"):
                found.add((name, node.name))
    return found


def test_no_function_elsewhere_defines_a_figure():
    allowed = {(name, one) for name, functions in NAMED.items() for one in functions}
    found = second_definitions(sources())
    assert found - allowed == set(), "use engine.metrics, or say here what it is instead"
    assert allowed - found == set(), "no longer there: take it off the list"


@pytest.mark.parametrize("idiom", IDIOMS)
def test_no_module_elsewhere_computes_a_figure_in_passing(idiom):
    found = {name for name, text in sources() if re.search(idiom, code_of(text))} - set(COMPARED)
    assert found - set(IDIOMS[idiom]) == set(), "use engine.metrics, or say here what it is"
    assert set(IDIOMS[idiom]) - found == set(), "no longer there: take it off the list"


@pytest.mark.parametrize(
    "planted",
    [
        "def max_drawdown(equity):\n    return 0.0",
        "def rolling_cvar(returns):\n    return 0.0",
        "class A:\n    def calculate_sharpe(self):\n        return 0.0",
    ],
)
def test_a_second_definition_is_seen(planted):
    assert second_definitions([("backtest/new.py", planted)])


@pytest.mark.parametrize(
    "planted",
    [
        "x = 1 - w / np.maximum.accumulate(w)",
        "worst = np.partition(r, 5)[:5].mean()",
        "s = r.mean() / r.std(ddof=1)",
        "s = np.mean(r) / spread",
        "k = np.mean(z ** 4)",
    ],
)
def test_a_figure_in_passing_is_seen(planted):
    assert any(re.search(idiom, code_of(planted)) for idiom in IDIOMS)


def test_compared_modules_exist_and_are_tested_where_it_says():
    for module, test in COMPARED.items():
        assert (ROOT / module).exists()
        if test.startswith("tests/"):
            assert "metrics" in (ROOT.parent / test).read_text()


def test_rooms_give_the_same_number():
    """One series through every door: risk room, evidence room, figures; and many windows at once."""
    returns = np.random.default_rng(5).standard_t(4, size=1_500) * 0.01
    for level in (0.95, 0.99):
        var, cvar = measures.historical(returns, level)
        assert float(var) == metrics.value_at_risk(returns, level)
        assert float(cvar) == metrics.conditional_value_at_risk(returns, level)
        several = measures.historical(np.stack([returns, returns[::-1]]), level)
        assert several[0].tolist() == [float(var)] * 2
        assert several[1] == pytest.approx([float(cvar)] * 2, rel=1e-14)
    moments = sharpe_moments(returns)
    assert moments.skewness == metrics.skewness(returns)
    assert moments.kurtosis == metrics.kurtosis(returns)
    assert moments.sharpe == pytest.approx(metrics.calculate_sharpe(returns, 1), rel=1e-14)
    windows = measures.moments(returns)
    assert windows.skewness == pytest.approx(moments.skewness, rel=1e-12)
    assert windows.excess_kurtosis + 3 == pytest.approx(moments.kurtosis, rel=1e-12)
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns)])
    deepest = drawdowns(wealth, 1)[0]
    assert deepest.depth == metrics.max_drawdown(wealth) == metrics.drawdown_path(returns).max()
    assert deepest.n_sessions == metrics.drawdowns(returns).lengths[
        metrics.drawdowns(returns).depth.argmax()
    ]  # fmt: skip
