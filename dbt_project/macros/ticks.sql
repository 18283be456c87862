{#- Rows of `relation` with the universe of their instrument: that of its membership, else the name of
the dataset. While an instrument with a membership is not a member, it has no rows. -#}
{% macro with_universe(relation) %}
select coalesce(members.universe, ticks.dataset) as universe, ticks.*
from {{ relation }} as ticks
left join {{ source('raw', 'universe_membership') }} as members
    on ticks.source = members.source
    and ticks.dataset = members.dataset
    and ticks.symbol = members.symbol
where
    members.universe is null
    or cast(ticks.ts at time zone 'UTC' as date)
        between members.valid_from and coalesce(members.valid_to, date '9999-12-31')
{% endmacro %}

{#- The book at a time, as a table macro of the database: the best `n_levels` of each side of every
book, out of the last snapshot known by then and the changes after it.

A book that lost a change has no state until its next snapshot, and so no rows. -#}
{% macro create_book_as_of() %}
create or replace macro {{ this.schema }}.book_as_of(as_of, n_levels) as table
with known as (
    select * from {{ this }} where known_at <= cast(as_of as timestamptz)
),

snapshots as (
    select
        universe,
        source,
        dataset,
        symbol,
        max(update_id) as snapshot_id,
        arg_max(received_at, update_id) as snapshot_at
    from known
    where kind = 'snapshot'
    group by all
),

lost as (
    select dataset, symbol, max(ts) as lost_at
    from {{ source('raw', 'stream_gaps') }}
    where stream = 'book' and ts <= cast(as_of as timestamptz)
    group by all
),

levels as (
    select
        known.universe,
        known.source,
        known.dataset,
        known.symbol,
        known.side,
        known.price,
        arg_max(known.quantity, (known.update_id, known.kind = 'change')) as quantity,
        max(known.update_id) as update_id,
        max(known.ts) as ts
    from known
    inner join snapshots using (universe, source, dataset, symbol)
    left join lost
        on known.source = 'stream' and known.dataset = lost.dataset and known.symbol = lost.symbol
    where
        (lost.lost_at is null or lost.lost_at <= snapshots.snapshot_at)
        and (
            known.update_id > snapshots.snapshot_id
            or (known.update_id = snapshots.snapshot_id and known.kind = 'snapshot')
        )
    group by all
),

stated as (
    select
        * exclude (update_id, ts),
        max(update_id) over book as update_id,
        max(ts) over book as ts
    from levels
    window book as (partition by universe, source, dataset, symbol)
)

select
    universe,
    symbol,
    ts,
    source,
    dataset,
    update_id,
    side,
    row_number() over (
        partition by universe, source, dataset, symbol, side
        order by case when side = 'bid' then -price else price end
    ) as level,
    price,
    quantity
from stated
where quantity > 0
qualify level <= n_levels
order by universe, source, dataset, symbol, side, level
{% endmacro %}
