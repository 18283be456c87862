"""The gallery: a small plot of every feature, as a table, a page and the sheets of the docs.

Start with `summaries.py` (values → rows of ``report.feature_plots``), then `page.py` (rows → one
HTML page) and `sheets.py` (rows → SVG images).
"""
