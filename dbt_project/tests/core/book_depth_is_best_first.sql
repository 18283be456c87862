{{ config(tags=['ticks'], meta={
    'description': "Each level of a side is worse than the one before it, and none is left out.",
    'dagster': {'ref': {'name': 'book_depth'}},
}) }}
select *
from (
    select
        *,
        lag(price) over side as better,
        lag(level, 1, 0) over side as level_before
    from {{ ref('book_depth') }}
    window side as (partition by universe, source, dataset, symbol, update_id, side order by level)
)
where
    level <> level_before + 1
    or (side = 'bid' and price >= better)
    or (side = 'ask' and price <= better)
