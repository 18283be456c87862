{#- The vintages known by a time, or all of them: a condition on `known_at`. -#}
{% macro known_by(time) -%}
{%- if time %}known_at <= {{ time }}{% else %}true{% endif -%}
{%- endmacro %}

{#- When a bar was first known, over its `vintages`: at its end where the first one came late. -#}
{% macro first_known() -%}
case
            when arg_min(known_at_basis, known_at) over vintages = 'late' then ts
            else min(known_at) over vintages
        end
{%- endmacro %}

{#- CTEs from raw vintages to adjusted daily bars, for `with`: bars, latest, actions, factors,
adjusted. `time` limits bars and actions to what was known by then.

A bar shows its latest vintage; its known_at is that of the first, since a value restated later was
no secret before; revised_at says when the value shown came. A bar that came late, into a hole, is
shown as a revision too: known at its end, revised when it came. An action falls on the first bar with a close on or after its ex-date. Prices
before it are multiplied by close / (close * split + dividend), so that the adjusted return over
that bar is the total return (close * split + dividend) / previous close - 1, the dividend paid per
share held before (CRSP's definition of a holding-period return). Where a source has restated its
prices for splits, only the dividend is left to adjust for. -#}
{% macro adjusted_bars_ctes(time=none) %}
bars as (
    {{ repaired_bars("freq = '1d'", time) }}
),

latest as (
    select
        * exclude (known_at),
        {{ first_known() }} as known_at,
        nullif(known_at, {{ first_known() }}) as revised_at
    from bars
    window vintages as (partition by source, dataset, symbol, ts)
    qualify
        row_number() over (partition by source, dataset, symbol, ts order by bars.known_at desc) = 1
),

actions as (
    {{ latest_actions(time) }}
),

placed_actions as (
    select actions.*, traded.session, traded.close
    from actions
    asof join (
        select source, dataset, symbol, session, close from latest where close is not null
    ) as traded
        on actions.source = traded.source
        and actions.dataset = traded.dataset
        and actions.symbol = traded.symbol
        and actions.ex_date <= traded.session
),

factors as (
    select
        source,
        dataset,
        symbol,
        session,
        product(case when kind = 'split' and basis = 'as_traded' then value else 1.0 end) as split,
        sum(case when kind = 'dividend' then value else 0.0 end) as dividend,
        any_value(close) as close
    from placed_actions
    group by all
),

adjusted as (
    select
        latest.* exclude (adj_close),
        coalesce(
            latest.adj_close,
            latest.close / coalesce(product(
                coalesce(factors.split, 1.0)
                + coalesce(factors.dividend, 0.0) / coalesce(factors.close, 1.0)
            ) over (
                partition by latest.source, latest.dataset, latest.symbol
                order by latest.ts
                rows between 1 following and unbounded following
            ), 1.0)
        ) as adj_close,
        latest.adj_close as source_adj_close
    from latest
    left join factors
        on latest.source = factors.source
        and latest.dataset = factors.dataset
        and latest.symbol = factors.symbol
        and latest.session = factors.session
)
{% endmacro %}

{#- The latest vintage of each action, with the known_at of its first. -#}
{% macro latest_actions(time=none) %}
    select
        source,
        dataset,
        symbol,
        ex_date,
        kind,
        min(known_at) over vintages as known_at,
        nullif(known_at, min(known_at) over vintages) as revised_at,
        value,
        currency,
        basis
    from {{ ref('stg_corporate_actions') }} as staged
    where {{ known_by(time) }}
    window vintages as (partition by source, dataset, symbol, ex_date, kind)
    qualify
        row_number() over (
            partition by source, dataset, symbol, ex_date, kind order by staged.known_at desc
        ) = 1
{% endmacro %}

{#- Daily bars of every universe in the columns of core.bars_1d, as known by `time`. -#}
{% macro daily_bars(time=none) %}
with {{ adjusted_bars_ctes(time) }},

members as (
    select
        membership.universe,
        bars.* exclude (adj_close),
        -- A reference rate or an index level has no splits or dividends to adjust for. A member
        -- declared unadjusted is adjusted by the actions that are known of it. Any other bar without
        -- an adjusted close has no price that returns may be computed from, and is left out.
        case
            when membership.price_basis in ('reference_rate', 'price_index')
                then coalesce(bars.source_adj_close, bars.close)
            when membership.price_basis = 'unadjusted' then bars.adj_close
            else bars.source_adj_close
        end as adj_close
    from adjusted as bars
    inner join {{ source('raw', 'universe_membership') }} as membership
        on bars.source = membership.source
        and bars.dataset = membership.dataset
        and bars.symbol = membership.symbol
        and bars.session >= membership.valid_from
        and bars.session <= coalesce(membership.valid_to, date '9999-12-31')
)

select
    universe,
    symbol,
    ts,
    session,
    known_at,
    revised_at,
    open,
    high,
    low,
    close,
    volume,
    open * adj_close / close as adj_open,
    high * adj_close / close as adj_high,
    low * adj_close / close as adj_low,
    adj_close
from members
where adj_close is not null
order by universe, symbol, ts
{% endmacro %}
