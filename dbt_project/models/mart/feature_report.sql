-- Every feature with what is known of it. Importances come from models and stand here, beside the
-- catalogue, where no feature can read them.
with fits as (
    select 'ridge' as model, universe, variant, seed, fold, feature, importance
    from {{ source('models', 'importances_ridge') }}
    union all
    select 'lightgbm', universe, variant, seed, fold, feature, importance
    from {{ source('models', 'importances_lightgbm') }}
),

importances as (
    select
        universe,
        feature,
        avg(importance) filter (model = 'ridge') as importance_ridge,
        avg(importance) filter (model = 'lightgbm') as importance_lightgbm,
        count(*) as n_fits
    from fits
    group by universe, feature
)

select
    quality.universe,
    quality.freq,
    quality.feature,
    quality.family,
    catalogue.formula,
    catalogue.unit,
    catalogue.requires,
    catalogue.enabled,
    quality.missing_share,
    quality.first_ts,
    quality.last_ts,
    quality.psi,
    quality.ks_statistic,
    quality.cluster,
    quality.cluster_size,
    quality.nearest_feature,
    quality.nearest_correlation,
    importances.importance_ridge,
    importances.importance_lightgbm,
    coalesce(importances.n_fits, 0) as n_fits
from {{ source('features', 'quality') }} as quality
inner join {{ source('features', 'catalogue') }} as catalogue
    on quality.feature = catalogue.name
left join importances
    on quality.universe = importances.universe
    and quality.feature = importances.feature
    and quality.freq = '1d'
order by quality.universe, quality.freq, importances.importance_lightgbm desc nulls last, quality.feature
