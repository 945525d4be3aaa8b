"""Read a strict subset of YAML."""
