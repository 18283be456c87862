{{ config(tags=['ticks'], meta={
    'description': "core.trades has as many trades of each series as raw has, and of no other one.",
    'dagster': {'ref': {'name': 'trades'}},
}) }}
with came as (
    select source, dataset, symbol, count(*) as n
    from {{ ref('stg_trades') }}
    where (source, dataset, symbol) not in (
        select (source, dataset, symbol) from {{ source('raw', 'universe_membership') }}
    )
    group by all
),

shown as (
    select source, dataset, symbol, count(*) as n
    from {{ ref('trades') }}
    where universe = dataset
    group by all
)

select source, dataset, symbol, came.n as n_came, shown.n as n_shown
from came
full join shown using (source, dataset, symbol)
where came.n is distinct from shown.n
