"""Deciding: what is started when, what may be sent again, and what it all comes to."""
