"""Training of flows: losses, the steps of an optimiser down them, evaluation, stopping, and files of models."""
