"""One module per command: wiring between the rooms, no decisions of its own."""
