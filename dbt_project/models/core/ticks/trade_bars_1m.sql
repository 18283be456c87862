-- One-minute bars made of trades: whole minutes only. A minute is over once its dataset has a later
-- trade; the first one of a series may have begun before the recording, and one in which trades were
-- lost is not whole. A minute without a trade has no bar.
with minutes as (
    select
        universe,
        symbol,
        date_trunc('minute', ts) + interval 1 minute as ts,
        max(known_at) as last_known_at,
        source,
        dataset,
        arg_min(price, trade_id) as open,
        max(price) as high,
        min(price) as low,
        arg_max(price, trade_id) as close,
        sum(quantity) as volume,
        sum(price * quantity) / sum(quantity) as vwap,
        case
            when count(aggressor) = count(*)
                then coalesce(sum(quantity) filter (where aggressor = 'buyer'), 0)
        end as bought_volume,
        count(*) as n_trades
    from {{ ref('trades') }}
    group by all
),

spans as (
    select
        source,
        dataset,
        symbol,
        min(ts) as first_ts,
        max(max(ts)) over (partition by source, dataset) as dataset_last_ts
    from {{ ref('stg_trades') }}
    group by source, dataset, symbol
),

lost as (
    select dataset, symbol, coalesce(dark_since, ts) as dark_since, ts as dark_until
    from {{ source('raw', 'stream_gaps') }}
    where stream = 'trades' and outcome = 'lost'
)

select
    minutes.universe,
    minutes.symbol,
    minutes.ts,
    greatest(minutes.ts, minutes.last_known_at) as known_at,
    minutes.source,
    minutes.dataset,
    minutes.open,
    minutes.high,
    minutes.low,
    minutes.close,
    minutes.volume,
    minutes.vwap,
    minutes.bought_volume,
    minutes.n_trades
from minutes
inner join spans using (source, dataset, symbol)
where
    minutes.ts <= spans.dataset_last_ts
    and minutes.ts - interval 1 minute > spans.first_ts
    and not exists (
        select 1
        from lost
        where
            minutes.source = 'stream'
            and minutes.dataset = lost.dataset
            and minutes.symbol = lost.symbol
            and lost.dark_since < minutes.ts
            and lost.dark_until >= minutes.ts - interval 1 minute
    )
