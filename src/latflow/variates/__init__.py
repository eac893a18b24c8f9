"""Control variates of lattice fields: quantities whose mean under exp(−S) is zero, for any action."""
