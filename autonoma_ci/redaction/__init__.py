"""Remove secret values from text."""
