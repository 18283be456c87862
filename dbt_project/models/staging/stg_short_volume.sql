{{ union_tables('raw', raw_short_volume_tables(), 'short_volume_', 'source') }}
