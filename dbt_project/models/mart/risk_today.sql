-- The newest measures of each strategy, with the record of the same measure where it was tested.
with newest as (
    select *
    from {{ source('risk', 'measures') }}
    qualify ts = max(ts) over (partition by strategy)
)

select
    newest.strategy,
    newest.ts,
    newest.measure,
    newest.method,
    newest.level,
    newest.value,
    newest.valid,
    newest.n_window,
    tested.n as n_tested,
    tested.expected as expected_exceedances,
    tested.observed as observed_exceedances,
    tested.kupiec_p
from newest
left join {{ source('risk', 'exceedances') }} as tested
    on newest.measure = 'var'
    and newest.strategy = tested.strategy
    and newest.method = tested.method
    and newest.level = tested.level
order by newest.strategy, newest.measure, newest.method, newest.level
