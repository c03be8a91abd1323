"""What must not be learnt or said: redaction of secrets and personal data, and probes of a candidate."""
