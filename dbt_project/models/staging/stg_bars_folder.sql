{{ stage_bars('folder') }}
