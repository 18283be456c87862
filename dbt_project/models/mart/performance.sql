-- Monthly returns of every run after costs; the benchmark index is one of the runs.
with slices as (
    select
        run_id,
        slice,
        max(value) filter (metric = 'excess_return') as excess_return,
        max(value) filter (metric = 'max_drawdown') as max_drawdown
    from {{ source('backtest', 'slices') }}
    where dimension = 'month'
    group by run_id, slice
),

months as (
    select
        equity.run_id,
        equity.strategy,
        runs.role,
        cast(date_trunc('month', equity.ts) as date) as month,
        product(1 + equity.net_return) - 1 as monthly_return,
        count(equity.net_return) as n_sessions,
        sum(equity.turnover) as turnover
    from {{ source('backtest', 'equity') }} as equity
    inner join {{ source('backtest', 'runs') }} as runs using (run_id)
    group by equity.run_id, equity.strategy, runs.role, date_trunc('month', equity.ts)
    having count(equity.net_return) > 0
)

select
    months.strategy,
    months.role,
    months.month,
    months.monthly_return,
    slices.excess_return,
    slices.max_drawdown,
    months.n_sessions,
    months.turnover
from months
left join slices
    on months.run_id = slices.run_id and strftime(months.month, '%Y-%m') = slices.slice
order by months.strategy, months.month
