"""Settings, URLs and the programs that start Viable.

Keep this file free of imports: `python -m config.embedded` must work before Django is set up.
"""
