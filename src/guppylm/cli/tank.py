"""`guppylm tank`."""

import signal
import sys
import webbrowser
from threading import Thread
from typing import Annotated

import typer

from guppylm.cli.shared import RunArgument, app


@app.command(epilog="Example: guppylm tank runs/guppy")
def tank(
    run: RunArgument = None,
    port: Annotated[int, typer.Option(help="Where to serve it; 0: any port that is free.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address and open no browser.")] = False,
) -> None:
    """Look into a fish in your browser: talk to it, see its tokens, heads and layers, switch parts off, watch it grow up.

    The page comes from this machine, is for this machine alone, and asks no other for anything. Ctrl-C ends it.
    """
    for name in ("SIGTERM", "SIGHUP"):  # ends like Ctrl-C, so that nothing is left behind; nohup's own wish stands
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    from guppylm.fish import load
    from guppylm.tank import filled

    fish = load(run)
    print(f"putting {fish.run.path} into the tank, which takes some seconds ...", file=sys.stderr, flush=True)
    with filled(fish, port) as filled_tank:
        print(f"{filled_tank.address}\nctrl-c empties the tank", flush=True)
        if not no_open:  # beside the server, since some browsers keep whoever opened them waiting
            Thread(target=webbrowser.open, args=(filled_tank.address,), daemon=True).start()
        filled_tank.serve_until_stopped()
