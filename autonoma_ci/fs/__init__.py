"""Files, paths and locks that are safe in an untrusted checkout."""
