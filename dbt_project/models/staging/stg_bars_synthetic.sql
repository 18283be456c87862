{{ stage_bars('synthetic') }}
