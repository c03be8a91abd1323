"""The vocabulary and rules of Allie: standard library only, no input or output."""
