{{ config(meta={
    'description': "Every forecast comes from a registered model of its family, fold and seed, fitted on the past only.",
    'dagster': {'ref': {'name': 'forecasts'}},
}) }}
select distinct forecasts.model, forecasts.model_id, forecasts.fold, forecasts.seed
from {{ ref('forecasts') }} as forecasts
left join {{ source('models', 'registry') }} as registry using (model_id)
where
    registry.model_id is null
    or registry.model <> forecasts.model
    or registry.fold <> forecasts.fold
    or registry.seed <> forecasts.seed
    or registry.fitted_until > forecasts.ts
