{{ config(meta={
    'description': "Each key has one vintage that stands, and each other ends when the next one begins.",
    'dagster': {'ref': {'name': 'onchain_metrics'}},
}) }}
select source, dataset, asset, metric, ts, count(*) filter (where superseded_at is null) as standing
from {{ ref('onchain_metrics') }}
group by source, dataset, asset, metric, ts
having
    count(*) filter (where superseded_at is null) <> 1
    or bool_or(superseded_at <= known_at)
