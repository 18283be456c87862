"""The champion's rule: one failing demand is enough, and nothing unknown is taken for granted."""

import polars as pl
import pytest

from btq_assets.evidence.verdict import verdict

RUNS = pl.DataFrame(
    {
        "strategy": ["ridge", "ppo", "one_over_n", "risk_parity"],
        "role": ["candidate", "candidate", "baseline", "baseline"],
    }
)


def comparison(strategy, against, **changes):
    row = {
        "strategy": strategy,
        "against": against,
        "against_role": "one_over_n" if against == "one_over_n" else "best_baseline",
        "mean_difference_annual": 0.03,
        "ci_low_annual": 0.01,
        "ci_high_annual": 0.05,
        "sharpe_difference": 0.2,
        "significant": True,
    }
    return row | changes


def judge(changes_to_reference=None, changes_to_best=None, deflated=0.97, note="", drop=()):
    rows = [
        comparison("ridge", "one_over_n", **(changes_to_reference or {})),
        comparison("ridge", "risk_parity", **(changes_to_best or {})),
        comparison("ppo", "one_over_n", significant=False, ci_low_annual=-0.01),
        comparison("ppo", "risk_parity"),
    ]
    comparisons = pl.DataFrame([row for row in rows if row["against"] not in drop])
    table = pl.DataFrame(
        {
            "strategy": ["ridge", "ppo"],
            "n_trials": [12, 12],
            "deflated_sharpe": [deflated, 0.5],
            "note": [note, ""],
        },
        schema_overrides={"deflated_sharpe": pl.Float64},
    )
    return verdict(comparisons, table, RUNS)


def test_a_candidate_that_meets_every_demand_survives():
    found = judge()
    assert found.survivors == ("ridge",)
    assert found.n_trials == 12
    assert found.sentence.startswith(
        "At least 12 trials were made, 2 candidates judged: ridge beats"
    )
    (ppo,) = [c for c in found.candidates if c.strategy == "ppo"]
    assert not ppo.survives
    assert any("-1.00%" in reason for reason in ppo.reasons)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"changes_to_reference": {"significant": False}}, "95 % interval"),
        ({"changes_to_best": {"mean_difference_annual": -0.001}}, "mean return is not above risk_"),
        ({"changes_to_best": {"sharpe_difference": -0.1}}, "Sharpe ratio is not above risk_parity"),
        ({"changes_to_best": {"sharpe_difference": None}}, "Sharpe ratio is not above risk_parity"),
        ({"deflated": 0.95}, "demanded above 0.95"),
        ({"deflated": None, "note": "9 counted candidates"}, "9 counted candidates"),
        ({"drop": ("one_over_n",)}, "not compared with one_over_n"),
        ({"drop": ("risk_parity",)}, "not compared with the best baseline"),
    ],
)
def test_one_failing_demand_leaves_nothing(case, reason):
    found = judge(**case)
    assert found.survivors == ()
    assert found.sentence.endswith("nothing beats 1/N.")
    (ridge,) = [c for c in found.candidates if c.strategy == "ridge"]
    assert any(reason in text for text in ridge.reasons)


def test_without_any_counted_trial_nothing_survives():
    empty = pl.DataFrame(
        schema={
            "strategy": pl.String,
            "n_trials": pl.Int64,
            "deflated_sharpe": pl.Float64,
            "note": pl.String,
        }
    )
    comparisons = pl.DataFrame(
        [comparison("ridge", "one_over_n"), comparison("ridge", "risk_parity")]
    )
    found = verdict(comparisons, empty, RUNS)
    assert found.n_trials is None
    assert found.sentence == "No trial was counted, 2 candidates judged: nothing beats 1/N."
