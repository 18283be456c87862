-- Forecasts of every model in one table.
select *
from ({{ union_tables('models', models_forecasts_tables(), 'forecasts_', 'model') }})
order by model, universe, symbol, ts, horizon_sessions, variant, seed
