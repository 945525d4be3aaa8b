"""Read a clone of git without the program git."""
