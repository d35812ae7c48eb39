"""The plain holders of each lever, one module per domain."""
