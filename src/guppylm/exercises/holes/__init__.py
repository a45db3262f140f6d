"""The files that `guppylm exercise` writes, each with a hole in it."""
