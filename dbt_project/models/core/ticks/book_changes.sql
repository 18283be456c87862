{{ config(post_hook="{{ create_book_as_of() }}") }}
-- Order books of every source of ticks, as snapshots and the changes after them.
select
    universe,
    symbol,
    ts,
    known_at,
    source,
    dataset,
    update_id,
    first_update_id,
    kind,
    side,
    price,
    quantity,
    received_at
from ({{ with_universe(ref('stg_book')) }})
