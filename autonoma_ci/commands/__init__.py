"""The commands of autonoma-ci, one module each."""
