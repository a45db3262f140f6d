"""How long `guppylm data` takes on one core, and how much memory: `python bench/data.py`."""

import os
import resource
import subprocess
import sys
import tempfile
import time


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    print(f"{'rows':>9}  {'seconds':>8}  {'peak MB':>8}")
    for rows in (60_000, 600_000):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "guppylm", "data", "--rows", str(rows), "--out", folder], check=True, stdout=-3
            )
            seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        print(f"{rows:>9,}  {seconds:>8.1f}  {peak:>8.0f}")


if __name__ == "__main__":
    main()
