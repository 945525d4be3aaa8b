"""One module per CI system."""
