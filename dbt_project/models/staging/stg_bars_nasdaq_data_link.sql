{{ stage_bars('nasdaq_data_link') }}
