{{ config(meta={
    'description': "The tables every run needs are there and have rows.",
    'dagster': {'ref': {'name': 'data_health'}},
}) }}
select table_name, present, n_rows
from {{ ref('data_health') }}
where
    table_name in (
        'raw.universe_membership', 'core.instruments', 'core.bars_1d',
        'backtest.runs', 'backtest.equity', 'backtest.metrics'
    )
    and (not present or n_rows = 0)
