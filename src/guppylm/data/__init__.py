"""From a character sheet to batches of tokens."""
