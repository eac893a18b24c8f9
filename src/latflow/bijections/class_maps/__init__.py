"""Bijections of a group that are equivariant under conjugation: eigenvalues move, eigenvectors stay."""
