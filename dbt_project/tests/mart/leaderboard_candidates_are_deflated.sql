{{ config(meta={
    'description': "Every candidate with varying returns has its trial in the ledger, with exactly its returns.",
    'dagster': {'ref': {'name': 'leaderboard'}},
}) }}
select strategy, run_id
from {{ ref('leaderboard') }}
where role = 'candidate' and sharpe is not null and n_trials is null
