"""Files on disk: atomic writes, blocks with checksums, ensembles with a ledger, the run lock, signals, gauge files."""
