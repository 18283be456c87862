{{ config(meta={
    'description': "Monthly returns compound to the growth of the equity curve.",
    'dagster': {'ref': {'name': 'performance'}},
}) }}
with growth as (
    select
        strategy,
        last(equity order by ts) / first(equity order by ts) as of_equity,
        count(net_return) as n_returns
    from {{ source('backtest', 'equity') }}
    group by run_id, strategy
),

months as (
    select strategy, product(1 + monthly_return) as of_months, sum(n_sessions) as n_returns
    from {{ ref('performance') }}
    group by strategy
)

select strategy, growth.of_equity, months.of_months
from growth
full outer join months using (strategy)
where
    growth.of_equity is null
    or months.of_months is null
    or abs(months.of_months - growth.of_equity) > 1e-6 * abs(growth.of_equity)
    or growth.n_returns <> months.n_returns
