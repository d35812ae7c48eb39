"""VMs: who owns which server, and the load of opaque ones."""
