{{ stage_bars('alpha_vantage') }}
