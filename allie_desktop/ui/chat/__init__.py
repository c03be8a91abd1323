"""The chat window: conversations, the transcript with its streaming replies, and the field to type in."""
