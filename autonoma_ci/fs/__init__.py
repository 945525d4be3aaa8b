"""Files, paths and locks."""
