"""Words become a policy set."""
