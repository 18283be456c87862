{{ stage_bars('ecb') }}
