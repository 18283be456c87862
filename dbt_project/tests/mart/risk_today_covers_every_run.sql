{{ config(meta={
    'description': "Every candidate and baseline has risk measures at the last bar of its run, and cvar is never below var.",
    'dagster': {'ref': {'name': 'risk_today'}},
}) }}
with measured as (select strategy, max(ts) as ts from {{ ref('risk_today') }} group by strategy),

stale as (
    select runs.strategy, 'no measures at the last bar' as reason
    from {{ source('backtest', 'runs') }} as runs
    left join measured using (strategy)
    where runs.role <> 'benchmark' and measured.ts is distinct from runs.last_ts
),

disordered as (
    select value_at_risk.strategy, 'cvar below var' as reason
    from {{ ref('risk_today') }} as value_at_risk
    inner join {{ ref('risk_today') }} as shortfall using (strategy, method, level)
    where
        value_at_risk.measure = 'var'
        and shortfall.measure = 'cvar'
        and shortfall.value < value_at_risk.value - 1e-12
)

select * from stale
union all
select * from disordered
