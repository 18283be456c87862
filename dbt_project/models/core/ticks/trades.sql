-- Trades of every source of ticks. Whose order rested is the exchange's word; who crossed follows.
select
    universe,
    symbol,
    ts,
    known_at,
    source,
    dataset,
    trade_id,
    price,
    quantity,
    case when buyer_is_maker then 'seller' when not buyer_is_maker then 'buyer' end as aggressor,
    via
from ({{ with_universe(ref('stg_trades')) }})
