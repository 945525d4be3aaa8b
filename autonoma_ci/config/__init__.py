"""Options, their parsers, and the settings of a job step."""
