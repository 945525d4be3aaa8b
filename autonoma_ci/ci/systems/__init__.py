"""One module per CI system.

Detection is in `ci.detection`.
"""
