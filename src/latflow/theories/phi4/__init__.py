"""φ⁴ theory in four normalisations."""
