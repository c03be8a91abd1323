"""Talking to other processes: messages, documents on disk, worker processes, the episode slot."""
