"""Publishers that several CI systems share."""
