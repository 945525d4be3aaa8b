"""Find what a build changed, from the facts and the API of its CI system."""
