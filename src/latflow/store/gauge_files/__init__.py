"""Gauge configurations in the files of other codes: ILDG/LIME, SciDAC, NERSC, MILC v5, openQCD, Bridge++ text."""
