"""LLM requests on GPU instances, every request."""
