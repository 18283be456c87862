"""The answers of every check as a browsable site: static pages, no network, no server.

Belongs here: what Dagster recorded of checks, and the pages over it. Great Expectations has data
docs of its own; they load scripts, styles and fonts from other servers, and know only the suites.
These pages show every check, suites or not, with its history.

Run ``python -m data_quality.site``.
"""
