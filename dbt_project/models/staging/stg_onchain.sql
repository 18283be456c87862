{{ union_tables('raw', raw_onchain_tables(), 'onchain_', 'source') }}
