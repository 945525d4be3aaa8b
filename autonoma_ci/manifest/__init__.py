"""Read the manifest, a YAML file that lists the tests to run."""
