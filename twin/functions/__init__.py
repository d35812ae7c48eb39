"""Serverless functions: every invocation, and the path that it takes."""
