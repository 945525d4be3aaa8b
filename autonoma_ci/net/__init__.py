"""HTTP without knowledge of the API."""
