"""Render a report in each format, and read results.json back."""
