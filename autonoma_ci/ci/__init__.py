"""The CI systems: how each is recognised, what it says of the build, and how to speak to it."""
