"""The stages of a study: each reads what the one before has written, and resumes where it was stopped."""
