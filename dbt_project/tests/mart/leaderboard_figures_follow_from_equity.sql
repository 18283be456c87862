{{ config(meta={
    'description': "Return, volatility, Sharpe ratio and drawdown are those of the equity curve, computed a second way.",
    'dagster': {'ref': {'name': 'leaderboard'}},
}) }}
with recomputed as (
    {{ value_figures('(select run_id as name, ts, equity as value from ' ~ source('backtest', 'equity') ~ ')') }}
)

select
    leaderboard.strategy,
    leaderboard.sharpe,
    recomputed.sharpe as sharpe_of_equity,
    leaderboard.annual_return,
    recomputed.annual_return as annual_return_of_equity
from {{ ref('leaderboard') }} as leaderboard
left join recomputed on leaderboard.run_id = recomputed.name
where
    recomputed.name is null
    or leaderboard.n_returns <> recomputed.n_returns
    or abs(leaderboard.annual_return - recomputed.annual_return) > 1e-6
    or abs(leaderboard.annual_volatility - recomputed.annual_volatility) > 1e-6
    or abs(leaderboard.max_drawdown - recomputed.max_drawdown) > 1e-6
    or abs(leaderboard.sharpe - recomputed.sharpe) > 1e-6
