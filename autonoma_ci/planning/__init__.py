"""Build the plan from settings and manifest, and sign its runs."""
