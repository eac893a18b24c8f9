"""Room: actions."""
