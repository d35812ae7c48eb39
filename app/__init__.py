"""What is asked and shown."""
