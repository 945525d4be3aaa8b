"""The manifest: a YAML file that lists what to run, read strictly, every problem with its place."""
