-- The best levels of each side of every snapshot.
select
    universe,
    symbol,
    ts,
    known_at,
    source,
    dataset,
    update_id,
    side,
    row_number() over best_first as level,
    price,
    quantity,
    sum(quantity) over (best_first rows unbounded preceding) as cumulative_quantity
from {{ ref('book_changes') }}
where kind = 'snapshot' and quantity > 0
window best_first as (
    partition by universe, source, dataset, symbol, update_id, side
    order by case when side = 'bid' then -price else price end
)
qualify level <= 10
