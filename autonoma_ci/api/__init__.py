"""Talking to the Autonoma API: one request, one answer, and what the answer means."""
