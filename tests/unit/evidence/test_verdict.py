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


def standing(superior):
    return pl.DataFrame(
        {"trial_id": ["r1", "p1"], "superior": [superior, False]},
        schema={"trial_id": pl.String, "superior": pl.Boolean},
    )


def judge(
    changes_to_reference=None, changes_to_best=None, deflated=0.97, note="", drop=(), superior=True
):
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
            "trial_id": ["r1", "p1"],
            "n_trials": [12, 12],
            "deflated_sharpe": [deflated, 0.5],
            "note": [note, ""],
        },
        schema_overrides={"deflated_sharpe": pl.Float64},
    )
    return verdict(comparisons, table, RUNS, standing(superior))


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
        ({"superior": False}, "once the search among all candidates is counted"),
        ({"superior": None}, "jointly with the other candidates"),
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
            "trial_id": pl.String,
            "n_trials": pl.Int64,
            "deflated_sharpe": pl.Float64,
            "note": pl.String,
        }
    )
    comparisons = pl.DataFrame(
        [comparison("ridge", "one_over_n"), comparison("ridge", "risk_parity")]
    )
    found = verdict(comparisons, empty, RUNS, standing(True))
    assert found.n_trials is None
    assert found.sentence == "No trial was counted, 2 candidates judged: nothing beats 1/N."


def test_the_joint_tests_are_told_in_sentences():
    from btq_assets.contracts import evidence
    from btq_assets.evidence.verdict import selection_sentences

    row = dict.fromkeys(evidence.SELECTION.column_names) | {
        "question": "q", "universe": "us20", "n_trials": 11, "n_compared": 11, "n_returns": 4528,
        "years": 1.8, "n_effective": 2, "overfitting_probability": 0.8428,
        "overfitting_splits": 12_870, "reality_check_p": 0.98, "spa_consistent_p": 0.964,
        "minimum_backtest_years": 2.63, "note": "",
    }  # fmt: skip
    small = row | {"question": "p", "universe": "fx", "note": "3 candidates"}
    table = pl.DataFrame([row, small], schema=evidence.SELECTION.schema)
    standing = pl.DataFrame(
        [{"trial_id": "t", "question": "q", "strategy": "ridge", "superior": False}],
        schema=evidence.DISCOVERIES.schema,
    )
    assert selection_sentences(table, standing) == (
        "fx: the choice among candidates was not judged: 3 candidates.",
        "us20: 11 candidates amount to 2 independent attempts, by the correlation of their returns.",
        "us20: the best candidate of one half of the days ranked at or below the middle in the other "
        "half in 84% of 12,870 splits (probability of backtest overfitting).",
        "us20: were no candidate better than 1/N, the best would look as good as it does with a "
        "probability of 0.96 (Hansen), 0.98 (White); superior with the search counted: none.",
        "us20: 1.8 years of data are fewer than the 2.6 below which luck alone shows a Sharpe ratio "
        "of 1.",
    )
