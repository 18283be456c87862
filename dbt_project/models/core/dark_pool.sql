{{ config(post_hook="{{ create_vintages_as_of('dark_pool') }}") }}
-- Weekly dark-pool volume, every vintage. The share of a venue is taken over the newest vintage of
-- each venue known by the row's own known_at.
with vintages as (
    select
        *,
        {{ superseded(['source', 'symbol', 'week', 'venue']) }} as superseded_at
    from {{ ref('stg_dark_pool') }}
),

totals as (
    select
        known.source,
        known.symbol,
        known.week,
        known.known_at,
        sum(other.shares) as shares
    from (select distinct source, symbol, week, known_at from vintages) as known
    inner join vintages as other
        on known.source = other.source
        and known.symbol = other.symbol
        and known.week = other.week
        and known.known_at >= other.known_at
        and (other.superseded_at is null or other.superseded_at > known.known_at)
    group by all
)

select
    vintages.source,
    vintages.symbol,
    vintages.week,
    vintages.venue,
    vintages.known_at,
    vintages.superseded_at,
    vintages.shares,
    vintages.trades,
    vintages.shares / nullif(totals.shares, 0) as venue_share
from vintages
inner join totals using (source, symbol, week, known_at)
order by source, symbol, week, venue, known_at
