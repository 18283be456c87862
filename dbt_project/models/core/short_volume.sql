{{ config(post_hook="{{ create_vintages_as_of('short_volume') }}") }}
-- Daily short sale volume, every vintage. The volume is what one facility saw, about half of the
-- market, so the share is of that and not of all trading.
select
    source,
    symbol,
    session,
    known_at,
    {{ superseded(['source', 'symbol', 'session']) }} as superseded_at,
    short_volume,
    total_volume,
    short_volume / nullif(total_volume, 0) as short_share
from {{ ref('stg_short_volume') }}
order by source, symbol, session, known_at
