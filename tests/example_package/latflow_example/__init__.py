"""A theory and an observable for latflow."""
