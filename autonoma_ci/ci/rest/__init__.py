"""Send requests to the REST APIs of CI systems."""
