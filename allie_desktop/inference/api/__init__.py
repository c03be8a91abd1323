"""The local service: OpenAI's protocol over one person's own model, on the loopback interface alone."""
