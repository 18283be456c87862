{{ config(meta={
    'description': "Every member of a universe whose dataset has been fetched has bars: a member without any points to a wrong source, dataset or price basis.",
    'dagster': {'ref': {'name': 'instruments'}},
}) }}
-- A dataset without a single bar has not been fetched yet, which is no contradiction.
select distinct membership.universe, membership.symbol, membership.source, membership.dataset, membership.price_basis
from {{ source('raw', 'universe_membership') }} as membership
semi join (
    {%- for table in raw_bars_tables() %}
    select source, dataset from {{ ref('stg_' ~ table) }}
    {%- if not loop.last %} union {% endif %}
    {%- endfor %}
) as fetched using (source, dataset)
anti join {{ ref('instruments') }} as instruments
    on membership.universe = instruments.universe and membership.symbol = instruments.symbol
