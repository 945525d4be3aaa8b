"""From settings and manifest to the runs to start."""
