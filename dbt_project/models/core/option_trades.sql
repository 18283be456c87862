-- Option trades of every source as they were first known. What an exchange changes later (a trade
-- that was busted, a field filled in) is knowledge of a later day, and stays in raw.
select
    source,
    dataset,
    underlying,
    contract_id,
    kind,
    strike,
    expiry,
    expires_at,
    trade_id,
    trade_seq,
    ts,
    known_at,
    price,
    amount,
    side,
    iv_provider,
    mark_price,
    index_price,
    tick_direction,
    block_trade_id,
    combo_id,
    liquidation,
    premium_unit,
    currency
from {{ ref('stg_option_trades') }}
qualify row_number() over (partition by source, dataset, contract_id, trade_id order by known_at) = 1
order by source, dataset, contract_id, trade_id
