{{ union_tables('raw', raw_corporate_actions_tables(), 'corporate_actions_', 'source') }}
