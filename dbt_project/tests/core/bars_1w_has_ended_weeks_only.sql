{{ config(meta={
    'description': "Every week that a later session of the universe follows is there, and no week before its last weekday is over.",
    'dagster': {'ref': {'name': 'bars_1w'}},
}) }}
with spans as (
    select universe, max(session) as last_session, date_trunc('week', max(session)) as last_week
    from {{ ref('bars_1d') }}
    group by universe
),

missing as (
    select distinct
        bars.universe,
        bars.symbol,
        date_trunc('week', bars.session) as week,
        'week has ended but is missing' as reason
    from {{ ref('bars_1d') }} as bars
    inner join spans using (universe)
    anti join {{ ref('bars_1w') }} as weekly
        on bars.universe = weekly.universe
        and bars.symbol = weekly.symbol
        and date_trunc('week', bars.session) = date_trunc('week', weekly.session)
    where date_trunc('week', bars.session) < spans.last_week
),

early as (
    select
        weekly.universe,
        weekly.symbol,
        date_trunc('week', weekly.session) as week,
        'week has not ended' as reason
    from {{ ref('bars_1w') }} as weekly
    inner join spans using (universe)
    where
        date_trunc('week', weekly.session) = spans.last_week
        and isodow(spans.last_session) < 5
)

select * from missing
union all
select * from early
