"""Observables as functions of one configuration: scalar fields, gauge loops, smeared loops, gradient flow."""
