"""Support for CI systems, from their detection to their comments."""
