{{ config(meta={
    'description': "Every forecast is about a daily bar that exists.",
    'dagster': {'ref': {'name': 'forecasts'}},
}) }}
select model, universe, symbol, ts
from {{ ref('forecasts') }}
anti join {{ ref('bars_1d') }} using (universe, symbol, ts)
