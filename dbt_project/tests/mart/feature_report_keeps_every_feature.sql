{{ config(meta={
    'description': "Every feature that was judged is in the report, and importances are means over its fits.",
    'dagster': {'ref': {'name': 'feature_report'}},
}) }}
with fits as (
    select universe, feature, avg(importance) as importance
    from {{ source('models', 'importances_lightgbm') }}
    group by universe, feature
)
select quality.universe, quality.freq, quality.feature
from {{ source('features', 'quality') }} as quality
left join {{ ref('feature_report') }} as report
    on quality.universe = report.universe
    and quality.freq = report.freq
    and quality.feature = report.feature
left join fits
    on quality.universe = fits.universe
    and quality.feature = fits.feature
    and quality.freq = '1d'
where
    report.feature is null
    or report.missing_share <> quality.missing_share
    or report.importance_lightgbm is distinct from fits.importance
