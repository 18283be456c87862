{{ config(tags=['ticks'], meta={
    'description': "core.quotes has every quote of raw that does not bid above its ask, and no other.",
    'dagster': {'ref': {'name': 'quotes'}},
}) }}
with came as (
    select source, dataset, symbol, count(*) as n
    from {{ ref('stg_quotes') }}
    where
        bid_price <= ask_price
        and (source, dataset, symbol) not in (
            select (source, dataset, symbol) from {{ source('raw', 'universe_membership') }}
        )
    group by all
),

shown as (
    select source, dataset, symbol, count(*) as n
    from {{ ref('quotes') }}
    where universe = dataset
    group by all
)

select source, dataset, symbol, came.n as n_came, shown.n as n_shown
from came
full join shown using (source, dataset, symbol)
where came.n is distinct from shown.n
