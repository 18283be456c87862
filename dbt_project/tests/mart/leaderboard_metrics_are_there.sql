{{ config(meta={
    'description': "Every run has every figure the leaderboard shows, under the name it is looked up by.",
    'dagster': {'ref': {'name': 'leaderboard'}},
}) }}
select runs.run_id, runs.strategy, wanted.metric
from {{ source('backtest', 'runs') }} as runs
inner join {{ ref('leaderboard') }} as leaderboard using (run_id)
cross join (
    select unnest([
        {%- for metric in leaderboard_metrics() %}'{{ metric }}'{% if not loop.last %}, {% endif %}{% endfor -%}
    ]) as metric
) as wanted
anti join {{ source('backtest', 'metrics') }} as metrics
    on runs.run_id = metrics.run_id and wanted.metric = metrics.metric
