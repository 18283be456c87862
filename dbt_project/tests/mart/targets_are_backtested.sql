{{ config(meta={
    'description': "Every run but the benchmark's follows targets, every strategy with targets was run, and its symbols have bars.",
    'dagster': {'ref': {'name': 'targets'}},
}) }}
with strategies as (select distinct strategy, universe from {{ ref('targets') }}),

runs as (
    select strategy, universe from {{ source('backtest', 'runs') }} where role <> 'benchmark'
),

unmatched as (
    select
        coalesce(strategies.strategy, runs.strategy) as strategy,
        case when runs.strategy is null then 'targets without a run' else 'run without targets' end
            as reason
    from strategies
    full outer join runs using (strategy, universe)
    where strategies.strategy is null or runs.strategy is null
),

unknown as (
    select distinct strategy, 'no instrument ' || universe || ' ' || symbol as reason
    from {{ ref('targets') }}
    anti join {{ ref('instruments') }} using (universe, symbol)
)

select * from unmatched
union all
select * from unknown
