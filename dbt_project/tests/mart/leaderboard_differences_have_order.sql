{{ config(meta={
    'description': "Every comparable strategy but 1/N itself is compared with 1/N, inside its interval, and beats it only if the interval says so.",
    'dagster': {'ref': {'name': 'leaderboard'}},
}) }}
select strategy, difference_to_one_over_n_annual, beats_one_over_n
from {{ ref('leaderboard') }}
where
    (comparable and strategy <> 'one_over_n' and difference_to_one_over_n_annual is null)
    or (role = 'benchmark' and (comparable or difference_to_one_over_n_annual is not null))
    or difference_to_one_over_n_ci_low > difference_to_one_over_n_ci_high
    or beats_one_over_n <> (difference_to_one_over_n_ci_low > 0)
