"""The options, and the settings that they give."""
