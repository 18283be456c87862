-- Best quotes of every source of ticks. A bid above its ask is no quote anyone could have traded on.
select
    universe,
    symbol,
    ts,
    known_at,
    source,
    dataset,
    update_id,
    bid_price,
    bid_quantity,
    ask_price,
    ask_quantity,
    (bid_price + ask_price) / 2 as mid_price,
    (ask_price - bid_price) / (ask_price + bid_price) * 2e4 as spread_bps
from ({{ with_universe(ref('stg_quotes')) }})
where bid_price <= ask_price
