"""One page is one function show(): reads, never computes."""
