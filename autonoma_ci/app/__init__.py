"""What the commands share: one job step from its inputs to its exit code."""
