{#- Written from btq_assets/contracts by `python -m data_quality.dbt_files`; do not edit. -#}
{% macro raw_bars_tables() %}
{{ return([
    "bars_alpha_vantage",
    "bars_binance",
    "bars_ccxt",
    "bars_ecb",
    "bars_folder",
    "bars_nasdaq_data_link",
    "bars_sample",
    "bars_synthetic",
    "bars_yahoo"
]) }}
{% endmacro %}

{% macro raw_corporate_actions_tables() %}
{{ return([
    "corporate_actions_alpha_vantage",
    "corporate_actions_nasdaq_data_link",
    "corporate_actions_yahoo"
]) }}
{% endmacro %}

{% macro raw_macro_tables() %}
{{ return([
    "macro_alfred",
    "macro_cboe",
    "macro_ecb",
    "macro_fred",
    "macro_sample",
    "macro_treasury"
]) }}
{% endmacro %}

{% macro raw_documents_tables() %}
{{ return([
    "documents_alpha_vantage_news",
    "documents_edgar",
    "documents_gdelt",
    "documents_reddit",
    "documents_reports",
    "documents_rss",
    "documents_sample",
    "documents_synthetic",
    "documents_x"
]) }}
{% endmacro %}

{% macro raw_option_quotes_tables() %}
{{ return([
    "option_quotes_cboe",
    "option_quotes_deribit",
    "option_quotes_synthetic"
]) }}
{% endmacro %}

{% macro raw_option_trades_tables() %}
{{ return([
    "option_trades_deribit"
]) }}
{% endmacro %}

{% macro raw_dark_pool_tables() %}
{{ return([
    "dark_pool_finra"
]) }}
{% endmacro %}

{% macro raw_short_volume_tables() %}
{{ return([
    "short_volume_finra"
]) }}
{% endmacro %}

{% macro raw_onchain_tables() %}
{{ return([
    "onchain_coinmetrics",
    "onchain_defillama",
    "onchain_fear_greed",
    "onchain_stablecoins",
    "onchain_synthetic"
]) }}
{% endmacro %}

{% macro raw_trades_tables() %}
{{ return([
    "trades_stream",
    "trades_synthetic"
]) }}
{% endmacro %}

{% macro raw_quotes_tables() %}
{{ return([
    "quotes_stream",
    "quotes_synthetic"
]) }}
{% endmacro %}

{% macro raw_book_tables() %}
{{ return([
    "book_stream",
    "book_synthetic"
]) }}
{% endmacro %}

{% macro models_forecasts_tables() %}
{{ return([
    "forecasts_lightgbm",
    "forecasts_ridge",
    "forecasts_transformer_gnn"
]) }}
{% endmacro %}

{% macro portfolio_targets_tables() %}
{{ return([
    "targets_baselines",
    "targets_hrp",
    "targets_kelly",
    "targets_ppo",
    "targets_rank"
]) }}
{% endmacro %}

{% macro feature_families() %}
{{ return([
    {"name": "technical", "columns": ["return_1d", "return_5d", "return_21d", "return_63d", "momentum_12_1", "rsi_14", "macd_histogram_to_price", "bollinger_z_20", "distance_sma_50", "distance_sma_200", "distance_high_252"], "market_wide": false},
    {"name": "volatility", "columns": ["volatility_21_annual", "volatility_63_annual", "volatility_ewma_annual", "downside_volatility_63_annual", "volatility_ratio_21_252", "volatility_of_volatility_63", "absolute_return_autocorrelation_63", "parkinson_21_annual", "garman_klass_21_annual", "rogers_satchell_21_annual"], "market_wide": false},
    {"name": "microstructure", "columns": ["amihud_21", "roll_spread_63", "corwin_schultz_spread_21", "abdi_ranaldo_spread_21", "kyle_lambda_63", "price_impact_63", "dollar_volume_z_63", "distance_vwap_21", "money_flow_21"], "market_wide": false},
    {"name": "quantum", "columns": ["oscillator_energy", "oscillator_phase", "collapse_concentration", "collapse_change", "entanglement_entropy", "entanglement_contribution", "entanglement_mutual_information"], "market_wide": false},
    {"name": "cross_asset", "columns": ["universe_beta", "idiosyncratic_volatility_annual", "residual_momentum_12_1", "mean_correlation", "eigenvector_centrality", "pc1_loading", "momentum_rank", "return_21d_rank", "usd_beta", "usd_correlation"], "market_wide": false},
    {"name": "sentiment", "columns": ["sentiment_score", "sentiment_change_5d", "sentiment_dispersion", "sentiment_volume", "sentiment_volume_ratio_63", "sentiment_negative_share"], "market_wide": false},
    {"name": "macro", "columns": ["vix_level", "vix_change_21d", "credit_spread_baa_aaa", "credit_spread_change_3m", "wti_return_63d", "core_cpi_yoy", "industrial_production_yoy", "payrolls_yoy", "unemployment_change_12m"], "market_wide": true},
    {"name": "fractional", "columns": ["fractional_log_price", "fractional_log_price_z_63", "fractional_log_price_change_5d"], "market_wide": false},
    {"name": "volume", "columns": ["point_of_control_distance_21", "value_area_high_distance_21", "value_area_low_distance_21", "value_area_width_21", "point_of_control_distance_63", "value_area_high_distance_63", "value_area_low_distance_63", "value_area_width_63", "vwap_distance_session", "vwap_distance_month", "vwap_distance_high_63", "vwap_distance_low_63", "money_flow_index_14", "chaikin_money_flow_21", "on_balance_volume_change_21", "relative_volume_21", "order_flow_delta_1", "order_flow_delta_5"], "market_wide": false},
    {"name": "multi_timeframe", "columns": ["trend_20_5m", "rsi_14_5m", "volatility_20_5m", "range_position_20_5m", "trend_20_15m", "rsi_14_15m", "volatility_20_15m", "range_position_20_15m", "trend_20_1h", "rsi_14_1h", "volatility_20_1h", "range_position_20_1h", "trend_20_1d", "rsi_14_1d", "volatility_20_1d", "range_position_20_1d", "trend_20_1w", "rsi_14_1w", "volatility_20_1w", "range_position_20_1w", "trend_alignment", "trend_agreement_1d_1w"], "market_wide": false}
]) }}
{% endmacro %}

{% macro watched_tables() %}
{{ return([
    {"layer": "backtest", "name": "comparisons", "is_model": false, "time_column": none, "columns": ["strategy", "against", "against_role", "n", "mean_difference_annual", "ci_low_annual", "ci_high_annual", "sharpe_difference", "sharpe_difference_ci_low", "sharpe_difference_ci_high", "significant"], "vintages": none, "rhythm": none},
    {"layer": "backtest", "name": "equity", "is_model": false, "time_column": "ts", "columns": ["run_id", "strategy", "ts", "equity", "cash", "gross_exposure", "net_exposure", "turnover", "cost", "net_return"], "vintages": none, "rhythm": none},
    {"layer": "backtest", "name": "metrics", "is_model": false, "time_column": none, "columns": ["run_id", "strategy", "metric", "value", "ci_low", "ci_high", "unit", "note"], "vintages": none, "rhythm": none},
    {"layer": "backtest", "name": "positions", "is_model": false, "time_column": "ts", "columns": ["run_id", "strategy", "symbol", "ts", "shares", "value", "weight"], "vintages": none, "rhythm": none},
    {"layer": "backtest", "name": "runs", "is_model": false, "time_column": "first_ts", "columns": ["run_id", "strategy", "universe", "role", "first_ts", "last_ts", "initial_cash", "costs_json", "identity_error", "n_rejected_orders", "notes"], "vintages": none, "rhythm": none},
    {"layer": "backtest", "name": "trades", "is_model": false, "time_column": "decided_at", "columns": ["run_id", "strategy", "symbol", "decided_at", "filled_at", "shares", "price", "commission", "spread_cost", "impact_cost", "reason"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "adjustment_factors", "is_model": true, "time_column": "session", "columns": ["source", "dataset", "symbol", "session", "split", "dividend", "close", "factor"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "bars_15m", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume", "n_bars"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_1d", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "session", "known_at", "revised_at", "open", "high", "low", "close", "volume", "adj_open", "adj_high", "adj_low", "adj_close"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_1h", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume", "n_bars"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_1m", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume", "n_bars"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_1w", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "session", "known_at", "revised_at", "open", "high", "low", "close", "volume", "adj_open", "adj_high", "adj_low", "adj_close", "n_sessions"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_5m", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume", "n_bars"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "bars_intraday", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "freq", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume", "calendar"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "book_changes", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "source", "dataset", "update_id", "first_update_id", "kind", "side", "price", "quantity", "received_at"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "book_depth", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "source", "dataset", "update_id", "side", "level", "price", "quantity", "cumulative_quantity"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "corporate_actions", "is_model": true, "time_column": "ex_date", "columns": ["source", "dataset", "symbol", "ex_date", "kind", "known_at", "revised_at", "value", "currency", "basis"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "dark_pool", "is_model": true, "time_column": "week", "columns": ["source", "symbol", "week", "venue", "known_at", "superseded_at", "shares", "trades", "venue_share"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "documents", "is_model": true, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "headline", "text", "url", "language", "author", "relevance", "source", "label"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "instruments", "is_model": true, "time_column": "first_ts", "columns": ["universe", "symbol", "source", "dataset", "calendar", "currency", "price_basis", "sector", "caveat", "first_ts", "last_ts", "n_bars"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "macro_asof", "is_model": true, "time_column": "ts", "columns": ["ts", "series_id", "period", "known_at", "value", "age_days"], "vintages": none, "rhythm": "series_id"},
    {"layer": "core", "name": "macro_vintages", "is_model": true, "time_column": "period", "columns": ["series_id", "period", "known_at", "superseded_at", "value", "unit", "revision"], "vintages": none, "rhythm": "series_id"},
    {"layer": "core", "name": "onchain_metrics", "is_model": true, "time_column": "ts", "columns": ["source", "dataset", "asset", "metric", "ts", "known_at", "superseded_at", "value", "unit"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "option_metrics", "is_model": false, "time_column": "ts", "columns": ["source", "dataset", "underlying", "ts", "known_at", "n_contracts", "n_expiries_fitted", "atm_iv_30d", "skew_25d_30d", "term_slope", "put_call_volume", "put_call_oi", "volume", "open_interest", "unusual_volume_score", "n_unusual_contracts"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "option_quotes", "is_model": true, "time_column": "ts", "columns": ["source", "dataset", "underlying", "contract_id", "root", "kind", "strike", "expiry", "expires_at", "ts", "known_at", "bid", "ask", "last", "volume", "open_interest", "iv_provider", "delta_provider", "underlying_price", "underlying_basis", "premium_unit", "currency", "multiplier"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "option_surfaces", "is_model": false, "time_column": "ts", "columns": ["source", "dataset", "underlying", "ts", "known_at", "expires_at", "years", "forward", "exercise", "discount_basis", "discount_rate_annual", "fit_id", "n_quotes", "method", "atm_iv", "put_25d_iv", "call_25d_iv", "rmse_iv", "a", "b", "rho", "m", "sigma", "k_low", "k_high", "butterfly_free", "calendar_free", "mean_iv_gap"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "option_sweeps", "is_model": false, "time_column": "ts", "columns": ["source", "dataset", "underlying", "contract_id", "kind", "strike", "expiry", "side", "first_trade_id", "last_trade_id", "started_at", "ts", "known_at", "duration_ms", "n_prints", "n_prices", "amount", "premium", "currency", "first_price", "last_price", "premium_unit", "first_iv", "last_iv"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "option_trades", "is_model": true, "time_column": "ts", "columns": ["source", "dataset", "underlying", "contract_id", "kind", "strike", "expiry", "expires_at", "trade_id", "trade_seq", "ts", "known_at", "price", "amount", "side", "iv_provider", "mark_price", "index_price", "tick_direction", "block_trade_id", "combo_id", "liquidation", "premium_unit", "currency"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "quotes", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "source", "dataset", "update_id", "bid_price", "bid_quantity", "ask_price", "ask_quantity", "mid_price", "spread_bps"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "short_volume", "is_model": true, "time_column": "session", "columns": ["source", "symbol", "session", "known_at", "superseded_at", "short_volume", "total_volume", "short_share"], "vintages": none, "rhythm": none},
    {"layer": "core", "name": "trade_bars_1m", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "source", "dataset", "open", "high", "low", "close", "volume", "vwap", "bought_volume", "n_trades"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "trades", "is_model": true, "time_column": "ts", "columns": ["universe", "symbol", "ts", "known_at", "source", "dataset", "trade_id", "price", "quantity", "aggressor", "via"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "unusual_options", "is_model": false, "time_column": "ts", "columns": ["source", "dataset", "underlying", "ts", "known_at", "contract_id", "kind", "strike", "expiry", "volume", "open_interest", "open_interest_basis", "open_interest_at", "volume_to_open_interest", "n_earlier_days", "mean_earlier_volume"], "vintages": none, "rhythm": "dataset"},
    {"layer": "core", "name": "yield_curve", "is_model": true, "time_column": "period", "columns": ["curve", "period", "known_at", "superseded_at", "yield_3m", "yield_2y", "yield_10y", "level", "slope", "slope_2y", "curvature"], "vintages": none, "rhythm": none},
    {"layer": "evidence", "name": "deflated_sharpe", "is_model": false, "time_column": none, "columns": ["strategy", "trial_id", "question", "n_trials", "n_returns", "sharpe_per_period", "expected_maximum_sharpe", "probabilistic_sharpe", "deflated_sharpe", "note"], "vintages": none, "rhythm": none},
    {"layer": "evidence", "name": "gates", "is_model": false, "time_column": "recorded_at", "columns": ["subject", "gate", "run_id", "passed", "value", "detail", "recorded_at"], "vintages": none, "rhythm": none},
    {"layer": "evidence", "name": "trial_returns", "is_model": false, "time_column": "ts", "columns": ["trial_id", "ts", "net_return"], "vintages": none, "rhythm": none},
    {"layer": "evidence", "name": "trials", "is_model": false, "time_column": "first_ts", "columns": ["trial_id", "question", "purpose", "strategy", "universe", "first_ts", "last_ts", "n_returns", "sharpe_per_period", "skewness", "kurtosis", "config_json", "data_hash", "code_version", "seed", "run_id", "recorded_at"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "alpha158", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "alpha158_kmid", "alpha158_klen", "alpha158_kmid2", "alpha158_kup", "alpha158_kup2", "alpha158_klow", "alpha158_klow2", "alpha158_ksft", "alpha158_ksft2", "alpha158_open_0", "alpha158_high_0", "alpha158_low_0", "alpha158_vwap_0", "alpha158_roc_5", "alpha158_roc_10", "alpha158_roc_20", "alpha158_roc_30", "alpha158_roc_60", "alpha158_ma_5", "alpha158_ma_10", "alpha158_ma_20", "alpha158_ma_30", "alpha158_ma_60", "alpha158_std_5", "alpha158_std_10", "alpha158_std_20", "alpha158_std_30", "alpha158_std_60", "alpha158_beta_5", "alpha158_beta_10", "alpha158_beta_20", "alpha158_beta_30", "alpha158_beta_60", "alpha158_rsqr_5", "alpha158_rsqr_10", "alpha158_rsqr_20", "alpha158_rsqr_30", "alpha158_rsqr_60", "alpha158_resi_5", "alpha158_resi_10", "alpha158_resi_20", "alpha158_resi_30", "alpha158_resi_60", "alpha158_max_5", "alpha158_max_10", "alpha158_max_20", "alpha158_max_30", "alpha158_max_60", "alpha158_min_5", "alpha158_min_10", "alpha158_min_20", "alpha158_min_30", "alpha158_min_60", "alpha158_qtlu_5", "alpha158_qtlu_10", "alpha158_qtlu_20", "alpha158_qtlu_30", "alpha158_qtlu_60", "alpha158_qtld_5", "alpha158_qtld_10", "alpha158_qtld_20", "alpha158_qtld_30", "alpha158_qtld_60", "alpha158_rank_5", "alpha158_rank_10", "alpha158_rank_20", "alpha158_rank_30", "alpha158_rank_60", "alpha158_rsv_5", "alpha158_rsv_10", "alpha158_rsv_20", "alpha158_rsv_30", "alpha158_rsv_60", "alpha158_imax_5", "alpha158_imax_10", "alpha158_imax_20", "alpha158_imax_30", "alpha158_imax_60", "alpha158_imin_5", "alpha158_imin_10", "alpha158_imin_20", "alpha158_imin_30", "alpha158_imin_60", "alpha158_imxd_5", "alpha158_imxd_10", "alpha158_imxd_20", "alpha158_imxd_30", "alpha158_imxd_60", "alpha158_corr_5", "alpha158_corr_10", "alpha158_corr_20", "alpha158_corr_30", "alpha158_corr_60", "alpha158_cord_5", "alpha158_cord_10", "alpha158_cord_20", "alpha158_cord_30", "alpha158_cord_60", "alpha158_cntp_5", "alpha158_cntp_10", "alpha158_cntp_20", "alpha158_cntp_30", "alpha158_cntp_60", "alpha158_cntn_5", "alpha158_cntn_10", "alpha158_cntn_20", "alpha158_cntn_30", "alpha158_cntn_60", "alpha158_cntd_5", "alpha158_cntd_10", "alpha158_cntd_20", "alpha158_cntd_30", "alpha158_cntd_60", "alpha158_sump_5", "alpha158_sump_10", "alpha158_sump_20", "alpha158_sump_30", "alpha158_sump_60", "alpha158_sumn_5", "alpha158_sumn_10", "alpha158_sumn_20", "alpha158_sumn_30", "alpha158_sumn_60", "alpha158_sumd_5", "alpha158_sumd_10", "alpha158_sumd_20", "alpha158_sumd_30", "alpha158_sumd_60", "alpha158_vma_5", "alpha158_vma_10", "alpha158_vma_20", "alpha158_vma_30", "alpha158_vma_60", "alpha158_vstd_5", "alpha158_vstd_10", "alpha158_vstd_20", "alpha158_vstd_30", "alpha158_vstd_60", "alpha158_wvma_5", "alpha158_wvma_10", "alpha158_wvma_20", "alpha158_wvma_30", "alpha158_wvma_60", "alpha158_vsump_5", "alpha158_vsump_10", "alpha158_vsump_20", "alpha158_vsump_30", "alpha158_vsump_60", "alpha158_vsumn_5", "alpha158_vsumn_10", "alpha158_vsumn_20", "alpha158_vsumn_30", "alpha158_vsumn_60", "alpha158_vsumd_5", "alpha158_vsumd_10", "alpha158_vsumd_20", "alpha158_vsumd_30", "alpha158_vsumd_60"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "alpha360", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "alpha360_close_59", "alpha360_close_58", "alpha360_close_57", "alpha360_close_56", "alpha360_close_55", "alpha360_close_54", "alpha360_close_53", "alpha360_close_52", "alpha360_close_51", "alpha360_close_50", "alpha360_close_49", "alpha360_close_48", "alpha360_close_47", "alpha360_close_46", "alpha360_close_45", "alpha360_close_44", "alpha360_close_43", "alpha360_close_42", "alpha360_close_41", "alpha360_close_40", "alpha360_close_39", "alpha360_close_38", "alpha360_close_37", "alpha360_close_36", "alpha360_close_35", "alpha360_close_34", "alpha360_close_33", "alpha360_close_32", "alpha360_close_31", "alpha360_close_30", "alpha360_close_29", "alpha360_close_28", "alpha360_close_27", "alpha360_close_26", "alpha360_close_25", "alpha360_close_24", "alpha360_close_23", "alpha360_close_22", "alpha360_close_21", "alpha360_close_20", "alpha360_close_19", "alpha360_close_18", "alpha360_close_17", "alpha360_close_16", "alpha360_close_15", "alpha360_close_14", "alpha360_close_13", "alpha360_close_12", "alpha360_close_11", "alpha360_close_10", "alpha360_close_9", "alpha360_close_8", "alpha360_close_7", "alpha360_close_6", "alpha360_close_5", "alpha360_close_4", "alpha360_close_3", "alpha360_close_2", "alpha360_close_1", "alpha360_close_0", "alpha360_open_59", "alpha360_open_58", "alpha360_open_57", "alpha360_open_56", "alpha360_open_55", "alpha360_open_54", "alpha360_open_53", "alpha360_open_52", "alpha360_open_51", "alpha360_open_50", "alpha360_open_49", "alpha360_open_48", "alpha360_open_47", "alpha360_open_46", "alpha360_open_45", "alpha360_open_44", "alpha360_open_43", "alpha360_open_42", "alpha360_open_41", "alpha360_open_40", "alpha360_open_39", "alpha360_open_38", "alpha360_open_37", "alpha360_open_36", "alpha360_open_35", "alpha360_open_34", "alpha360_open_33", "alpha360_open_32", "alpha360_open_31", "alpha360_open_30", "alpha360_open_29", "alpha360_open_28", "alpha360_open_27", "alpha360_open_26", "alpha360_open_25", "alpha360_open_24", "alpha360_open_23", "alpha360_open_22", "alpha360_open_21", "alpha360_open_20", "alpha360_open_19", "alpha360_open_18", "alpha360_open_17", "alpha360_open_16", "alpha360_open_15", "alpha360_open_14", "alpha360_open_13", "alpha360_open_12", "alpha360_open_11", "alpha360_open_10", "alpha360_open_9", "alpha360_open_8", "alpha360_open_7", "alpha360_open_6", "alpha360_open_5", "alpha360_open_4", "alpha360_open_3", "alpha360_open_2", "alpha360_open_1", "alpha360_open_0", "alpha360_high_59", "alpha360_high_58", "alpha360_high_57", "alpha360_high_56", "alpha360_high_55", "alpha360_high_54", "alpha360_high_53", "alpha360_high_52", "alpha360_high_51", "alpha360_high_50", "alpha360_high_49", "alpha360_high_48", "alpha360_high_47", "alpha360_high_46", "alpha360_high_45", "alpha360_high_44", "alpha360_high_43", "alpha360_high_42", "alpha360_high_41", "alpha360_high_40", "alpha360_high_39", "alpha360_high_38", "alpha360_high_37", "alpha360_high_36", "alpha360_high_35", "alpha360_high_34", "alpha360_high_33", "alpha360_high_32", "alpha360_high_31", "alpha360_high_30", "alpha360_high_29", "alpha360_high_28", "alpha360_high_27", "alpha360_high_26", "alpha360_high_25", "alpha360_high_24", "alpha360_high_23", "alpha360_high_22", "alpha360_high_21", "alpha360_high_20", "alpha360_high_19", "alpha360_high_18", "alpha360_high_17", "alpha360_high_16", "alpha360_high_15", "alpha360_high_14", "alpha360_high_13", "alpha360_high_12", "alpha360_high_11", "alpha360_high_10", "alpha360_high_9", "alpha360_high_8", "alpha360_high_7", "alpha360_high_6", "alpha360_high_5", "alpha360_high_4", "alpha360_high_3", "alpha360_high_2", "alpha360_high_1", "alpha360_high_0", "alpha360_low_59", "alpha360_low_58", "alpha360_low_57", "alpha360_low_56", "alpha360_low_55", "alpha360_low_54", "alpha360_low_53", "alpha360_low_52", "alpha360_low_51", "alpha360_low_50", "alpha360_low_49", "alpha360_low_48", "alpha360_low_47", "alpha360_low_46", "alpha360_low_45", "alpha360_low_44", "alpha360_low_43", "alpha360_low_42", "alpha360_low_41", "alpha360_low_40", "alpha360_low_39", "alpha360_low_38", "alpha360_low_37", "alpha360_low_36", "alpha360_low_35", "alpha360_low_34", "alpha360_low_33", "alpha360_low_32", "alpha360_low_31", "alpha360_low_30", "alpha360_low_29", "alpha360_low_28", "alpha360_low_27", "alpha360_low_26", "alpha360_low_25", "alpha360_low_24", "alpha360_low_23", "alpha360_low_22", "alpha360_low_21", "alpha360_low_20", "alpha360_low_19", "alpha360_low_18", "alpha360_low_17", "alpha360_low_16", "alpha360_low_15", "alpha360_low_14", "alpha360_low_13", "alpha360_low_12", "alpha360_low_11", "alpha360_low_10", "alpha360_low_9", "alpha360_low_8", "alpha360_low_7", "alpha360_low_6", "alpha360_low_5", "alpha360_low_4", "alpha360_low_3", "alpha360_low_2", "alpha360_low_1", "alpha360_low_0", "alpha360_vwap_59", "alpha360_vwap_58", "alpha360_vwap_57", "alpha360_vwap_56", "alpha360_vwap_55", "alpha360_vwap_54", "alpha360_vwap_53", "alpha360_vwap_52", "alpha360_vwap_51", "alpha360_vwap_50", "alpha360_vwap_49", "alpha360_vwap_48", "alpha360_vwap_47", "alpha360_vwap_46", "alpha360_vwap_45", "alpha360_vwap_44", "alpha360_vwap_43", "alpha360_vwap_42", "alpha360_vwap_41", "alpha360_vwap_40", "alpha360_vwap_39", "alpha360_vwap_38", "alpha360_vwap_37", "alpha360_vwap_36", "alpha360_vwap_35", "alpha360_vwap_34", "alpha360_vwap_33", "alpha360_vwap_32", "alpha360_vwap_31", "alpha360_vwap_30", "alpha360_vwap_29", "alpha360_vwap_28", "alpha360_vwap_27", "alpha360_vwap_26", "alpha360_vwap_25", "alpha360_vwap_24", "alpha360_vwap_23", "alpha360_vwap_22", "alpha360_vwap_21", "alpha360_vwap_20", "alpha360_vwap_19", "alpha360_vwap_18", "alpha360_vwap_17", "alpha360_vwap_16", "alpha360_vwap_15", "alpha360_vwap_14", "alpha360_vwap_13", "alpha360_vwap_12", "alpha360_vwap_11", "alpha360_vwap_10", "alpha360_vwap_9", "alpha360_vwap_8", "alpha360_vwap_7", "alpha360_vwap_6", "alpha360_vwap_5", "alpha360_vwap_4", "alpha360_vwap_3", "alpha360_vwap_2", "alpha360_vwap_1", "alpha360_vwap_0", "alpha360_volume_59", "alpha360_volume_58", "alpha360_volume_57", "alpha360_volume_56", "alpha360_volume_55", "alpha360_volume_54", "alpha360_volume_53", "alpha360_volume_52", "alpha360_volume_51", "alpha360_volume_50", "alpha360_volume_49", "alpha360_volume_48", "alpha360_volume_47", "alpha360_volume_46", "alpha360_volume_45", "alpha360_volume_44", "alpha360_volume_43", "alpha360_volume_42", "alpha360_volume_41", "alpha360_volume_40", "alpha360_volume_39", "alpha360_volume_38", "alpha360_volume_37", "alpha360_volume_36", "alpha360_volume_35", "alpha360_volume_34", "alpha360_volume_33", "alpha360_volume_32", "alpha360_volume_31", "alpha360_volume_30", "alpha360_volume_29", "alpha360_volume_28", "alpha360_volume_27", "alpha360_volume_26", "alpha360_volume_25", "alpha360_volume_24", "alpha360_volume_23", "alpha360_volume_22", "alpha360_volume_21", "alpha360_volume_20", "alpha360_volume_19", "alpha360_volume_18", "alpha360_volume_17", "alpha360_volume_16", "alpha360_volume_15", "alpha360_volume_14", "alpha360_volume_13", "alpha360_volume_12", "alpha360_volume_11", "alpha360_volume_10", "alpha360_volume_9", "alpha360_volume_8", "alpha360_volume_7", "alpha360_volume_6", "alpha360_volume_5", "alpha360_volume_4", "alpha360_volume_3", "alpha360_volume_2", "alpha360_volume_1", "alpha360_volume_0"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "catalogue", "is_model": false, "time_column": none, "columns": ["name", "family", "formula", "source", "unit", "lookback_sessions", "requires", "needs", "recursive", "scale_invariant", "enabled"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "cross_asset", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "universe_beta", "idiosyncratic_volatility_annual", "residual_momentum_12_1", "mean_correlation", "eigenvector_centrality", "pc1_loading", "momentum_rank", "return_21d_rank", "usd_beta", "usd_correlation"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "document_scores", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "headline", "source", "language", "linked_by", "score", "scorer", "cluster_id", "first_known_at", "is_repeat", "label"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "fractional", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "fractional_log_price", "fractional_log_price_z_63", "fractional_log_price_change_5d"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "macro", "is_model": false, "time_column": "ts", "columns": ["universe", "ts", "vix_level", "vix_change_21d", "credit_spread_baa_aaa", "credit_spread_change_3m", "wti_return_63d", "core_cpi_yoy", "industrial_production_yoy", "payrolls_yoy", "unemployment_change_12m"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "microstructure", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "amihud_21", "roll_spread_63", "corwin_schultz_spread_21", "abdi_ranaldo_spread_21", "kyle_lambda_63", "price_impact_63", "dollar_volume_z_63", "distance_vwap_21", "money_flow_21"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "multi_timeframe", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "trend_20_5m", "rsi_14_5m", "volatility_20_5m", "range_position_20_5m", "trend_20_15m", "rsi_14_15m", "volatility_20_15m", "range_position_20_15m", "trend_20_1h", "rsi_14_1h", "volatility_20_1h", "range_position_20_1h", "trend_20_1d", "rsi_14_1d", "volatility_20_1d", "range_position_20_1d", "trend_20_1w", "rsi_14_1w", "volatility_20_1w", "range_position_20_1w", "trend_alignment", "trend_agreement_1d_1w"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "quality", "is_model": false, "time_column": "first_ts", "columns": ["universe", "feature", "family", "n_rows", "missing_share", "first_ts", "last_ts", "reference_start", "reference_end", "n_reference", "n_recent", "psi", "ks_statistic", "cluster", "cluster_size", "nearest_feature", "nearest_correlation"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "quantum", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "oscillator_energy", "oscillator_phase", "collapse_concentration", "collapse_change", "entanglement_entropy", "entanglement_contribution", "entanglement_mutual_information"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "sentiment", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "sentiment_score", "sentiment_change_5d", "sentiment_dispersion", "sentiment_volume", "sentiment_volume_ratio_63", "sentiment_negative_share", "is_synthetic"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "technical", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "return_1d", "return_5d", "return_21d", "return_63d", "momentum_12_1", "rsi_14", "macd_histogram_to_price", "bollinger_z_20", "distance_sma_50", "distance_sma_200", "distance_high_252"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "volatility", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "volatility_21_annual", "volatility_63_annual", "volatility_ewma_annual", "downside_volatility_63_annual", "volatility_ratio_21_252", "volatility_of_volatility_63", "absolute_return_autocorrelation_63", "parkinson_21_annual", "garman_klass_21_annual", "rogers_satchell_21_annual"], "vintages": none, "rhythm": none},
    {"layer": "features", "name": "volume", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "point_of_control_distance_21", "value_area_high_distance_21", "value_area_low_distance_21", "value_area_width_21", "point_of_control_distance_63", "value_area_high_distance_63", "value_area_low_distance_63", "value_area_width_63", "vwap_distance_session", "vwap_distance_month", "vwap_distance_high_63", "vwap_distance_low_63", "money_flow_index_14", "chaikin_money_flow_21", "on_balance_volume_change_21", "relative_volume_21", "order_flow_delta_1", "order_flow_delta_5"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "forecasts_lightgbm", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "horizon_sessions", "variant", "seed", "fold", "forecast", "model_id"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "forecasts_ridge", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "horizon_sessions", "variant", "seed", "fold", "forecast", "model_id"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "forecasts_transformer_gnn", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "horizon_sessions", "variant", "seed", "fold", "forecast", "model_id"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "importances_lightgbm", "is_model": false, "time_column": none, "columns": ["universe", "variant", "seed", "fold", "feature", "importance"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "importances_ridge", "is_model": false, "time_column": none, "columns": ["universe", "variant", "seed", "fold", "feature", "importance"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "registry", "is_model": false, "time_column": "fitted_from", "columns": ["model_id", "model", "variant", "fold", "seed", "fitted_from", "fitted_until", "feature_hash", "config_json", "code_version", "versions_json", "metrics_json", "artifact_path", "artifact_hash", "registered_at"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "splits", "is_model": false, "time_column": "train_start", "columns": ["universe", "fold", "train_start", "train_end", "validation_start", "validation_end", "test_start", "test_end", "n_purged"], "vintages": none, "rhythm": none},
    {"layer": "models", "name": "training_set", "is_model": false, "time_column": "ts", "columns": ["universe", "symbol", "ts", "is_decision", "session_return", "label", "label_raw", "label_start_ts", "label_end_ts", "return_1d", "return_5d", "return_21d", "return_63d", "momentum_12_1", "rsi_14", "macd_histogram_to_price", "bollinger_z_20", "distance_sma_50", "distance_sma_200", "distance_high_252", "volatility_21_annual", "volatility_63_annual", "volatility_ewma_annual", "downside_volatility_63_annual", "volatility_ratio_21_252", "volatility_of_volatility_63", "absolute_return_autocorrelation_63", "parkinson_21_annual", "garman_klass_21_annual", "rogers_satchell_21_annual", "amihud_21", "roll_spread_63", "corwin_schultz_spread_21", "abdi_ranaldo_spread_21", "kyle_lambda_63", "price_impact_63", "dollar_volume_z_63", "distance_vwap_21", "money_flow_21", "oscillator_energy", "oscillator_phase", "collapse_concentration", "collapse_change", "entanglement_entropy", "entanglement_contribution", "entanglement_mutual_information", "universe_beta", "idiosyncratic_volatility_annual", "residual_momentum_12_1", "mean_correlation", "eigenvector_centrality", "pc1_loading", "momentum_rank", "return_21d_rank", "usd_beta", "usd_correlation", "sentiment_score", "sentiment_change_5d", "sentiment_dispersion", "sentiment_volume", "sentiment_volume_ratio_63", "sentiment_negative_share", "vix_level", "vix_change_21d", "credit_spread_baa_aaa", "credit_spread_change_3m", "wti_return_63d", "core_cpi_yoy", "industrial_production_yoy", "payrolls_yoy", "unemployment_change_12m", "regime_p_turbulent", "regime_trend", "regime_volatility_annual"], "vintages": none, "rhythm": none},
    {"layer": "portfolio", "name": "targets_baselines", "is_model": false, "time_column": "ts", "columns": ["strategy", "universe", "symbol", "ts", "weight"], "vintages": none, "rhythm": none},
    {"layer": "portfolio", "name": "targets_hrp", "is_model": false, "time_column": "ts", "columns": ["strategy", "universe", "symbol", "ts", "weight"], "vintages": none, "rhythm": none},
    {"layer": "portfolio", "name": "targets_kelly", "is_model": false, "time_column": "ts", "columns": ["strategy", "universe", "symbol", "ts", "weight"], "vintages": none, "rhythm": none},
    {"layer": "portfolio", "name": "targets_ppo", "is_model": false, "time_column": "ts", "columns": ["strategy", "universe", "symbol", "ts", "weight"], "vintages": none, "rhythm": none},
    {"layer": "portfolio", "name": "targets_rank", "is_model": false, "time_column": "ts", "columns": ["strategy", "universe", "symbol", "ts", "weight"], "vintages": none, "rhythm": none},
    {"layer": "quality", "name": "feeds", "is_model": false, "time_column": "as_of", "columns": ["table_name", "enabled", "kept_up", "as_of"], "vintages": none, "rhythm": none},
    {"layer": "quality", "name": "repairs", "is_model": false, "time_column": "from_ts", "columns": ["table_name", "key_json", "column_name", "kind", "before", "after", "factor", "source", "dataset", "symbol", "freq", "from_ts", "to_ts", "n_bars", "confidence", "evidence", "evidence_known_at", "proposed_at", "applied"], "vintages": none, "rhythm": "dataset"},
    {"layer": "quality", "name": "sessions", "is_model": false, "time_column": "session", "columns": ["calendar", "session", "closes_at"], "vintages": none, "rhythm": none},
    {"layer": "quarantine", "name": "rows", "is_model": false, "time_column": "received_at", "columns": ["row_id", "table_name", "reason", "row_json", "run_id", "received_at"], "vintages": none, "rhythm": none},
    {"layer": "raw", "name": "bars_alpha_vantage", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_binance", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_ccxt", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_ecb", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_folder", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_nasdaq_data_link", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_sample", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "bars_yahoo", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "freq", "ts", "known_at", "known_at_basis", "open", "high", "low", "close", "adj_close", "volume", "currency"], "vintages": ["dataset", "symbol", "freq", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "book_stream", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "update_id", "kind", "side", "price", "first_update_id", "ts", "known_at", "known_at_basis", "received_at", "quantity"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "book_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "update_id", "kind", "side", "price", "first_update_id", "ts", "known_at", "known_at_basis", "received_at", "quantity"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "corporate_actions_alpha_vantage", "is_model": false, "time_column": "ex_date", "columns": ["dataset", "symbol", "ex_date", "kind", "known_at", "known_at_basis", "value", "currency", "basis"], "vintages": ["dataset", "symbol", "ex_date", "kind"], "rhythm": "dataset"},
    {"layer": "raw", "name": "corporate_actions_nasdaq_data_link", "is_model": false, "time_column": "ex_date", "columns": ["dataset", "symbol", "ex_date", "kind", "known_at", "known_at_basis", "value", "currency", "basis"], "vintages": ["dataset", "symbol", "ex_date", "kind"], "rhythm": "dataset"},
    {"layer": "raw", "name": "corporate_actions_yahoo", "is_model": false, "time_column": "ex_date", "columns": ["dataset", "symbol", "ex_date", "kind", "known_at", "known_at_basis", "value", "currency", "basis"], "vintages": ["dataset", "symbol", "ex_date", "kind"], "rhythm": "dataset"},
    {"layer": "raw", "name": "dark_pool_finra", "is_model": false, "time_column": "week", "columns": ["dataset", "symbol", "week", "venue", "known_at", "known_at_basis", "venue_name", "tier", "shares", "trades", "published"], "vintages": ["dataset", "symbol", "week", "venue"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_alpha_vantage_news", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_edgar", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_gdelt", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_reddit", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_reports", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_rss", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_sample", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_synthetic", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "documents_x", "is_model": false, "time_column": "published_at", "columns": ["doc_id", "symbol", "published_at", "known_at", "known_at_basis", "headline", "text", "url", "language", "author", "relevance", "source_score", "label", "dataset"], "vintages": ["doc_id", "symbol"], "rhythm": "dataset"},
    {"layer": "raw", "name": "folder_files", "is_model": false, "time_column": "first_ts", "columns": ["file", "mark", "symbol", "currency", "n_bars", "n_refused", "first_ts", "last_ts", "has_adjusted", "has_open", "read_at"], "vintages": none, "rhythm": none},
    {"layer": "raw", "name": "funding_rates_ccxt", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "ts", "known_at", "known_at_basis", "funding_rate", "interval_hours"], "vintages": ["dataset", "symbol", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "iv_surfaces_sample", "is_model": false, "time_column": "session", "columns": ["dataset", "underlying", "session", "days", "delta", "strike", "implied_volatility", "forward", "spot"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "macro_alfred", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "macro_cboe", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "macro_ecb", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "macro_fred", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "macro_sample", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "macro_treasury", "is_model": false, "time_column": "period", "columns": ["series_id", "period", "known_at", "known_at_basis", "value", "unit", "revision", "dataset"], "vintages": ["series_id", "period"], "rhythm": "series_id"},
    {"layer": "raw", "name": "onchain_coinmetrics", "is_model": false, "time_column": "ts", "columns": ["dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit"], "vintages": ["dataset", "asset", "metric", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "onchain_defillama", "is_model": false, "time_column": "ts", "columns": ["dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit"], "vintages": ["dataset", "asset", "metric", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "onchain_fear_greed", "is_model": false, "time_column": "ts", "columns": ["dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit"], "vintages": ["dataset", "asset", "metric", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "onchain_stablecoins", "is_model": false, "time_column": "ts", "columns": ["dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit"], "vintages": ["dataset", "asset", "metric", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "onchain_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit"], "vintages": ["dataset", "asset", "metric", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "option_quotes_cboe", "is_model": false, "time_column": "ts", "columns": ["dataset", "underlying", "contract_id", "root", "kind", "strike", "expiry", "expires_at", "ts", "known_at", "known_at_basis", "bid", "ask", "last", "volume", "open_interest", "iv_provider", "delta_provider", "underlying_price", "underlying_basis", "premium_unit", "currency", "multiplier"], "vintages": ["dataset", "contract_id", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "option_quotes_deribit", "is_model": false, "time_column": "ts", "columns": ["dataset", "underlying", "contract_id", "root", "kind", "strike", "expiry", "expires_at", "ts", "known_at", "known_at_basis", "bid", "ask", "last", "volume", "open_interest", "iv_provider", "delta_provider", "underlying_price", "underlying_basis", "premium_unit", "currency", "multiplier"], "vintages": ["dataset", "contract_id", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "option_quotes_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "underlying", "contract_id", "root", "kind", "strike", "expiry", "expires_at", "ts", "known_at", "known_at_basis", "bid", "ask", "last", "volume", "open_interest", "iv_provider", "delta_provider", "underlying_price", "underlying_basis", "premium_unit", "currency", "multiplier"], "vintages": ["dataset", "contract_id", "ts"], "rhythm": "dataset"},
    {"layer": "raw", "name": "option_trades_deribit", "is_model": false, "time_column": "ts", "columns": ["dataset", "underlying", "contract_id", "kind", "strike", "expiry", "expires_at", "trade_id", "trade_seq", "ts", "known_at", "known_at_basis", "price", "amount", "side", "iv_provider", "mark_price", "index_price", "tick_direction", "block_trade_id", "combo_id", "liquidation", "premium_unit", "currency"], "vintages": ["dataset", "contract_id", "trade_id"], "rhythm": "dataset"},
    {"layer": "raw", "name": "quotes_stream", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "update_id", "ts", "known_at", "known_at_basis", "received_at", "bid_price", "bid_quantity", "ask_price", "ask_quantity"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "quotes_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "update_id", "ts", "known_at", "known_at_basis", "received_at", "bid_price", "bid_quantity", "ask_price", "ask_quantity"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "short_volume_finra", "is_model": false, "time_column": "session", "columns": ["dataset", "symbol", "session", "known_at", "known_at_basis", "short_volume", "short_exempt_volume", "total_volume", "markets"], "vintages": ["dataset", "symbol", "session"], "rhythm": "dataset"},
    {"layer": "raw", "name": "stream_files", "is_model": false, "time_column": "ts", "columns": ["file", "ts", "status", "reason", "n_rows", "n_bytes"], "vintages": none, "rhythm": none},
    {"layer": "raw", "name": "stream_gaps", "is_model": false, "time_column": "ts", "columns": ["dataset", "stream", "symbol", "ts", "reason", "part", "outcome", "first_missing", "last_missing", "dark_since"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "synthetic_truth", "is_model": false, "time_column": "from_ts", "columns": ["dataset", "plant", "table_name", "symbol", "from_ts", "to_ts", "item", "size", "unit", "true_value", "planted_value"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "trades_stream", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "trade_id", "ts", "known_at", "known_at_basis", "received_at", "price", "quantity", "buyer_is_maker", "via"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "trades_synthetic", "is_model": false, "time_column": "ts", "columns": ["dataset", "symbol", "trade_id", "ts", "known_at", "known_at_basis", "received_at", "price", "quantity", "buyer_is_maker", "via"], "vintages": none, "rhythm": "dataset"},
    {"layer": "raw", "name": "universe_membership", "is_model": false, "time_column": "valid_from", "columns": ["universe", "symbol", "valid_from", "valid_to", "source", "dataset", "calendar", "currency", "price_basis", "sector", "caveat"], "vintages": none, "rhythm": "dataset"},
    {"layer": "regimes", "name": "states", "is_model": false, "time_column": "ts", "columns": ["scope", "ts", "p_calm", "p_turbulent", "state", "trend", "calm_volatility_annual", "turbulent_volatility_annual", "fitted_until", "converged"], "vintages": none, "rhythm": none},
    {"layer": "risk", "name": "drawdowns", "is_model": false, "time_column": "peak_ts", "columns": ["strategy", "rank", "peak_ts", "trough_ts", "recovered_ts", "depth", "n_sessions"], "vintages": none, "rhythm": none},
    {"layer": "risk", "name": "exceedances", "is_model": false, "time_column": none, "columns": ["strategy", "method", "level", "n", "expected", "observed", "kupiec_p", "note"], "vintages": none, "rhythm": none},
    {"layer": "risk", "name": "measures", "is_model": false, "time_column": "ts", "columns": ["strategy", "ts", "measure", "method", "level", "value", "valid", "n_window"], "vintages": none, "rhythm": none},
    {"layer": "risk", "name": "simulations", "is_model": false, "time_column": none, "columns": ["strategy", "method", "n_paths", "horizon_sessions", "statistic", "value", "seed"], "vintages": none, "rhythm": none},
    {"layer": "risk", "name": "stress", "is_model": false, "time_column": "window_start", "columns": ["strategy", "scenario", "window_start", "window_end", "covered", "window_return", "max_drawdown", "worst_day", "note"], "vintages": none, "rhythm": none}
]) }}
{% endmacro %}
