-- Option quotes of every source as they were first known. A second vintage of a quote (open interest
-- cleared overnight, volume counted again) is knowledge of a later day, and stays in raw.
select
    source,
    dataset,
    underlying,
    contract_id,
    root,
    kind,
    strike,
    expiry,
    expires_at,
    ts,
    known_at,
    bid,
    ask,
    last,
    volume,
    open_interest,
    iv_provider,
    delta_provider,
    underlying_price,
    underlying_basis,
    premium_unit,
    currency,
    multiplier
from {{ ref('stg_option_quotes') }}
qualify row_number() over (partition by source, dataset, contract_id, ts order by known_at) = 1
order by source, dataset, contract_id, ts
