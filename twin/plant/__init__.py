"""Power and heat, tick by tick."""
