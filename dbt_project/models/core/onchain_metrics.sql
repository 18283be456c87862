{{ config(post_hook="{{ create_vintages_as_of('onchain_metrics') }}") }}
-- On-chain metrics of every source, every vintage.
select
    source,
    dataset,
    asset,
    metric,
    ts,
    known_at,
    {{ superseded(['source', 'dataset', 'asset', 'metric', 'ts']) }} as superseded_at,
    value,
    unit
from {{ ref('stg_onchain') }}
order by source, dataset, asset, metric, ts, known_at
