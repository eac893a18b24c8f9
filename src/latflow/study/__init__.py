"""Studies: configuration, the objects built from it, the stages of a run, verification, the model zoo."""
