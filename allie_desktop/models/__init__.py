"""Base models: finding, checking, loading and sampling them. Shared by learning and inference."""
