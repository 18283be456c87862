{{ config(post_hook="{{ create_bars_1d_as_of() }}") }}
-- Daily bars of every universe: the latest vintage of each bar, while its instrument was a member,
-- adjusted for every action known today. `core.bars_1d_as_of(time)` gives what was known at a time.
-- Nothing is filled: a session without a bar has no row.
{{ daily_bars() }}
