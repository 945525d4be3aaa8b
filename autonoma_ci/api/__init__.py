"""Autonoma's contract with requests, responses and their meaning."""
