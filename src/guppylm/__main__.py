"""`python -m guppylm` is the command `guppylm`."""

from guppylm.cli import main

main()
