{{ config(meta={
    'description': "Runs and rows of the leaderboard are the same, one to one.",
    'dagster': {'ref': {'name': 'leaderboard'}},
}) }}
select coalesce(runs.run_id, leaderboard.run_id) as run_id, runs.strategy
from {{ source('backtest', 'runs') }} as runs
full outer join {{ ref('leaderboard') }} as leaderboard using (run_id)
where
    runs.run_id is null
    or leaderboard.run_id is null
    or runs.strategy is distinct from leaderboard.strategy
