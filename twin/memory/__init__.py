"""CXL pods and the memory that hosts pool in them."""
