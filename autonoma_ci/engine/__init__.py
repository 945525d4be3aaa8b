"""Start, poll and retry runs, collect their evidence, and compute the verdict."""
