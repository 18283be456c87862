{{ stage_bars('yahoo') }}
