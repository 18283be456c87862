{#- Figures of value series, in the conventions of `engine.metrics`: sample standard deviation,
risk-free rate zero, compound growth. `levels` names a relation of (name, ts, value), one row per
bar; the result has one row per name. -#}
{% macro value_figures(levels) %}
select
    name,
    min(ts) as first_ts,
    max(ts) as last_ts,
    count(simple_return) as n_returns,
    power(
        last(value order by ts) / first(value order by ts),
        {{ var('sessions_per_year') }} / nullif(cast(count(simple_return) as double), 0)
    ) - 1 as annual_return,
    stddev_samp(simple_return) * sqrt({{ var('sessions_per_year') }}) as annual_volatility,
    avg(simple_return) / nullif(stddev_samp(simple_return), 0)
    * sqrt({{ var('sessions_per_year') }}) as sharpe,
    max(1 - value / peak) as max_drawdown
from (
    select
        name,
        ts,
        value,
        value / lag(value) over (partition by name order by ts) - 1 as simple_return,
        max(value) over (partition by name order by ts) as peak
    from {{ levels }}
)
group by name
{% endmacro %}

{#- Figures of backtest.metrics that the leaderboard shows under the same name. -#}
{% macro leaderboard_metrics() %}
{{ return([
    'annual_return',
    'annual_volatility',
    'sharpe',
    'sortino',
    'calmar',
    'max_drawdown',
    'win_rate',
    'turnover_annual',
    'information_ratio',
    'beta',
    'alpha_annual',
    'cvar_95',
    'longest_underwater',
    'trip_profit_factor',
    'holding_sessions',
    'break_even_cost',
    'capacity',
]) }}
{% endmacro %}
