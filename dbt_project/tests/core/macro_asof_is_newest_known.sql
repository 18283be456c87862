{{ config(meta={
    'description': "On one session in fifty: the value is the latest known vintage of the newest known period, found the slow way.",
    'dagster': {'ref': {'name': 'macro_asof'}},
}) }}
with sessions as (
    select ts
    from (
        select ts, row_number() over (order by ts) as position
        from (select distinct ts from {{ ref('bars_1d') }}
              where universe = '{{ var("main_universe") }}')
    )
    where position % 50 = 0
),

slow as (
    select sessions.ts, vintages.series_id, vintages.period, vintages.known_at, vintages.value
    from sessions
    inner join {{ ref('macro_vintages') }} as vintages on vintages.known_at <= sessions.ts
    qualify
        row_number() over (
            partition by sessions.ts, vintages.series_id
            order by vintages.period desc, vintages.known_at desc
        ) = 1
)

select
    coalesce(slow.ts, fast.ts) as ts,
    coalesce(slow.series_id, fast.series_id) as series_id,
    slow.period as expected_period,
    fast.period as period,
    slow.value as expected_value,
    fast.value as value
from slow
full outer join (select * from {{ ref('macro_asof') }} where ts in (select ts from sessions)) as fast
    on slow.ts = fast.ts and slow.series_id = fast.series_id
where
    slow.period is distinct from fast.period
    or slow.known_at is distinct from fast.known_at
    or slow.value is distinct from fast.value
