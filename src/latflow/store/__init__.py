"""Files that survive: atomic writes, self-checking blocks, ensembles with a ledger, the run lock, signals."""
