{{ config(meta={
    'description': "At every bar with a stated holding, cash and positions are the equity, and weights are values over equity.",
    'dagster': {'ref': {'name': 'performance'}},
}) }}
-- Depends on {{ ref('performance') }}, which shows what these tables say.
with held as (
    select run_id, ts, sum(value) as value, max(abs(weight)) as largest_weight
    from {{ source('backtest', 'positions') }}
    group by run_id, ts
)

select held.run_id, held.ts, held.value, equity.cash, equity.equity
from held
left join {{ source('backtest', 'equity') }} as equity using (run_id, ts)
where
    equity.equity is null
    or abs(held.value + equity.cash - equity.equity) > 1e-9 * abs(equity.equity)
