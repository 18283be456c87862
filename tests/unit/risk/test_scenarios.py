"""Replay of windows by hand, the catalogue, and what is not covered."""

import datetime as dt

import numpy as np
import pytest

from btq_assets.risk.measures import RiskError
from btq_assets.risk.scenarios import SCENARIOS, Scenario, find_scenario, replay

DAYS = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")
WINDOW = Scenario("hand", dt.date(2020, 1, 10), dt.date(2020, 1, 13), "By hand")


def prices():
    values = np.full((len(DAYS), 2), 100.0)
    # Closes of 10, 11, 12 and 13 January.
    values[9:13, 0] = [100, 80, 90, 60]
    values[9:13, 1] = [50, 60, 50, 75]
    return values


def test_buy_and_hold_by_hand():
    found = replay(np.array([0.5, 0.2]), prices(), DAYS, WINDOW)
    # Wealth: 1, 1 - .1 + .04, 1 - .05 + 0, 1 - .2 + .1
    wealth = np.array([1.0, 0.94, 0.95, 0.90])
    assert found.covered
    assert found.window_return == pytest.approx(-0.10)
    assert found.max_drawdown == pytest.approx(0.10)
    assert found.worst_day == pytest.approx((wealth[1:] / wealth[:-1] - 1).min())


def test_the_opening_day_itself_is_no_loss():
    values = prices()
    values[8, 0] = 1_000.0  # the fall into the opening close lies before the window
    assert replay(np.array([0.5, 0.2]), values, DAYS, WINDOW) == replay(
        np.array([0.5, 0.2]), prices(), DAYS, WINDOW
    )


def test_cash_survives_everything():
    found = replay(np.zeros(2), prices(), DAYS, WINDOW)
    assert (found.window_return, found.max_drawdown, found.worst_day) == (0, 0, 0)


@pytest.mark.parametrize(
    ("start", "end"), [((2019, 12, 1), (2020, 1, 20)), ((2020, 2, 20), (2020, 3, 15))]
)
def test_windows_beyond_the_data_are_not_covered(start, end):
    found = replay(
        np.array([1.0, 0.0]), prices(), DAYS, Scenario("x", dt.date(*start), dt.date(*end), "")
    )
    assert not found.covered
    assert found.window_return is None
    assert "2020-01-01 to 2020-02-29" in found.note


def test_a_held_asset_without_price_is_named_and_an_unheld_one_does_not_matter():
    values = prices()
    values[10, 1] = np.nan
    found = replay(np.array([0.5, 0.2]), values, DAYS, WINDOW, ("A", "B"))
    assert not found.covered
    assert "B" in found.note
    assert replay(np.array([0.5, 0.0]), values, DAYS, WINDOW).covered


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2008_crash", "2008_crash"),
        ("covid_2020", "covid_2020"),
        ("dot_com_2000", "dot_com_2000"),
        ("Covid-19", "covid_2020"),
        ("dotcom 2000", "dot_com_2000"),
        ("GFC", "2008_crash"),
    ],
)
def test_names_and_aliases(name, expected):
    assert find_scenario(name).name == expected


def test_unknown_name_lists_the_known():
    with pytest.raises(RiskError, match="covid_2020"):
        find_scenario("tulips_1637")


def test_catalogue_is_unambiguous_and_ordered():
    names = [
        "".join(c for c in name.lower() if c.isalnum())
        for scenario in SCENARIOS
        for name in (scenario.name, *scenario.aliases)
    ]
    assert len(set(names)) == len(names)
    assert all(scenario.start < scenario.end for scenario in SCENARIOS)
