"""One folder is one paper."""
