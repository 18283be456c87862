{{ union_tables('raw', raw_dark_pool_tables(), 'dark_pool_', 'source') }}
