"""Start Autonoma end-to-end tests from any CI system."""

__version__ = "0.1.0"
