"""The free field."""
