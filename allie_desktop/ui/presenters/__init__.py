"""What windows show, worked out without Qt: words, numbers and lists from what the domain says."""
