"""A trained fish in the formats of others."""
