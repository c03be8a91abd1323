"""What keeps harm out of training: redaction of secrets, near-duplicates, hostile language."""
