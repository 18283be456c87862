-- One row per run. Figures are those of backtest.metrics; nothing is computed a second time here.
with figures as (
    select
        run_id,
        {%- for metric in leaderboard_metrics() %}
        max(value) filter (metric = '{{ metric }}') as {{ metric }},
        {%- endfor %}
        max(ci_low) filter (metric = 'sharpe') as sharpe_ci_low,
        max(ci_high) filter (metric = 'sharpe') as sharpe_ci_high,
        max(ci_low) filter (metric = 'alpha_annual') as alpha_annual_ci_low,
        max(ci_high) filter (metric = 'alpha_annual') as alpha_annual_ci_high,
        max(note) filter (metric = 'capacity' and value is null) as capacity_note
    from {{ source('backtest', 'metrics') }}
    group by run_id
),

returns as (
    select
        run_id,
        count(net_return) as n_returns,
        avg(net_return) / nullif(stddev_samp(net_return), 0) as sharpe_per_period
    from {{ source('backtest', 'equity') }}
    group by run_id
),

runs as (
    select
        runs.*,
        returns.n_returns,
        returns.sharpe_per_period,
        figures.* exclude (run_id)
    from {{ source('backtest', 'runs') }} as runs
    inner join returns using (run_id)
    left join figures using (run_id)
),

-- The ledger keeps the trials of earlier configurations too: the trial of this run is the one with
-- its very returns.
deflated as (
    select trials.*
    from {{ source('evidence', 'deflated_sharpe') }} as trials
    inner join runs
        on trials.strategy = runs.strategy
        and trials.n_returns = runs.n_returns
        and abs(trials.sharpe_per_period - runs.sharpe_per_period) < 1e-8
    qualify row_number() over (partition by trials.strategy order by trials.trial_id) = 1
),

-- What the factors of the universe itself leave unexplained.
unexplained as (
    select
        run_id,
        coefficient as factor_alpha_annual,
        t_value as factor_alpha_t_value
    from {{ source('backtest', 'attribution') }}
    where model = 'universe' and factor = 'alpha'
),

reference as (
    select universe, first_ts, last_ts from runs where strategy = 'one_over_n'
),

to_best as (
    select *
    from {{ source('backtest', 'comparisons') }}
    where against_role in ('best_baseline', 'one_over_n and best_baseline')
)

select
    runs.strategy,
    runs.run_id,
    runs.universe,
    runs.role,
    runs.role <> 'benchmark' and reference.universe is not null as comparable,
    runs.first_ts,
    runs.last_ts,
    runs.n_returns,
    runs.annual_return,
    runs.annual_volatility,
    runs.sharpe,
    runs.sharpe_ci_low,
    runs.sharpe_ci_high,
    runs.sortino,
    runs.calmar,
    runs.max_drawdown,
    runs.win_rate,
    runs.turnover_annual,
    runs.information_ratio,
    runs.beta,
    runs.alpha_annual,
    runs.alpha_annual_ci_low,
    runs.alpha_annual_ci_high,
    unexplained.factor_alpha_annual,
    unexplained.factor_alpha_t_value,
    runs.cvar_95,
    runs.longest_underwater as longest_underwater_sessions,
    runs.trip_profit_factor,
    runs.holding_sessions,
    runs.break_even_cost as break_even_cost_bps,
    runs.capacity,
    deflated.n_trials,
    deflated.probabilistic_sharpe,
    deflated.deflated_sharpe,
    to_one_over_n.mean_difference_annual as difference_to_one_over_n_annual,
    to_one_over_n.ci_low_annual as difference_to_one_over_n_ci_low,
    to_one_over_n.ci_high_annual as difference_to_one_over_n_ci_high,
    to_one_over_n.significant as beats_one_over_n,
    to_best.against as best_baseline,
    to_best.mean_difference_annual as difference_to_best_baseline_annual,
    to_best.ci_low_annual as difference_to_best_baseline_ci_low,
    to_best.ci_high_annual as difference_to_best_baseline_ci_high,
    concat_ws('; ',
        case when runs.role <> 'benchmark' and reference.universe is null
            then 'not comparable: universe, first or last bar differ from 1/N' end,
        nullif(deflated.note, ''),
        case when runs.role <> 'benchmark' then 'capacity: ' || nullif(runs.capacity_note, '') end,
        nullif(runs.notes, '')
    ) as note
from runs
left join reference using (universe, first_ts, last_ts)
left join deflated on runs.strategy = deflated.strategy
left join {{ source('backtest', 'comparisons') }} as to_one_over_n
    on runs.strategy = to_one_over_n.strategy and to_one_over_n.against = 'one_over_n'
left join unexplained on runs.run_id = unexplained.run_id
left join to_best on runs.strategy = to_best.strategy
order by comparable desc, sharpe desc nulls last, strategy
