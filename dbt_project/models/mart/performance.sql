-- Monthly returns of every run after costs; the benchmark index is one of the runs.
select
    equity.strategy,
    runs.role,
    cast(date_trunc('month', equity.ts) as date) as month,
    product(1 + equity.net_return) - 1 as monthly_return,
    count(equity.net_return) as n_sessions,
    sum(equity.turnover) as turnover
from {{ source('backtest', 'equity') }} as equity
inner join {{ source('backtest', 'runs') }} as runs using (run_id)
group by equity.strategy, runs.role, date_trunc('month', equity.ts)
having count(equity.net_return) > 0
order by equity.strategy, month
