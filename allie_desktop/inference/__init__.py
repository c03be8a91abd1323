"""Answering: engines that turn a conversation into a reply, with or without an adapter."""
