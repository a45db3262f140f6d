"""From a loss to better weights."""
