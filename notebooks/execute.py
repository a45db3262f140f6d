"""Executes the notebooks, each in a fresh kernel of this very Python and in a temporary folder, and says where one fails.

    python notebooks/execute.py                           all, quickly: what they train, they train for seconds only
    python notebooks/execute.py --write 07_attention.ipynb      stores the outputs in the notebook
    python notebooks/execute.py --full                    as a learner runs them

It needs nbclient and ipykernel: pip install -e '.[notebooks]'
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SECONDS_A_CELL = 900
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Failed(Exception):
    """A notebook did not run to its end."""


def execute(notebook: NotebookNode, name: str, quick: bool) -> dict[str, str]:
    """Runs every cell and keeps the outputs in `notebook`. Returns what stands in them for this machine's folders.

    The working folder looks like `notebooks/` in a checkout, with `ladder/` and `bench/` beside it. Raises Failed.
    """
    with tempfile.TemporaryDirectory(prefix="guppylm-") as made:
        folder = Path(made).resolve()
        working, scratch = folder / "notebooks", folder / "tmp"
        working.mkdir()
        scratch.mkdir()
        for beside in ("ladder", "bench"):
            shutil.copytree(HERE.parent / beside, folder / beside, ignore=shutil.ignore_patterns("__pycache__"))
        told = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "IPYTHONDIR": str(folder / "ipython")}
        told.pop("GUPPYLM_QUICK", None)
        if quick:
            told["GUPPYLM_QUICK"] = "1"
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(
                kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # no installed one: the native, of this Python
                connection_file=str(folder / "kernel.json"),
            ),
            timeout=SECONDS_A_CELL,
            resources={"metadata": {"path": str(working)}},
            extra_arguments=["--log-level=ERROR"],
            coalesce_streams=True,
            record_timing=False,
        )
        try:
            client.execute(env=told)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise Failed(explain(notebook, name, error)) from error
        places = {scratch: "TEMPORARY", folder: "TEMPORARY", HERE.parent: "guppylm", sys.prefix: "PYTHON", Path.home(): "~"}
        return {str(place): said for place, said in places.items()} | {made: "TEMPORARY"}


def explain(notebook: NotebookNode, name: str, error: Exception) -> str:
    """Which cell failed, and how."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                trace = COLOUR.sub("", "\n".join(output.traceback))
                return f"{name}, cell {number} (id {cell.id}): {output.ename}: {output.evalue}\n\n{cell.source}\n\n{trace}"
    ran = [number for number, cell in enumerate(notebook.cells, 1) if cell.get("execution_count")]
    return f"{name}, after cell {max(ran, default=0)}: {type(error).__name__}: {COLOUR.sub('', str(error))}"


def tidy(notebook: NotebookNode, places: dict[str, str]) -> NotebookNode:
    """The notebook without what depends on the machine and the tools that made it: folders, versions, times."""
    for cell in notebook.cells:
        cell.metadata = NotebookNode({name: cell.metadata[name] for name in ("jupyter", "tags") if name in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = [scrub(output, places) for output in cell.outputs]
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(display_name="Python 3", language="python", name="python3"),
        language_info=NotebookNode(name="python"),
    )
    return notebook


def scrub(output: NotebookNode, places: dict[str, str]) -> NotebookNode:
    """An output in which no folder of this machine is named."""
    text = json.dumps(output, ensure_ascii=False)
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(json.dumps(place, ensure_ascii=False)[1:-1], places[place])
    return NotebookNode(json.loads(text))


def main() -> None:
    """Executes what the command line names."""
    parser = argparse.ArgumentParser(description="Executes notebooks; without names, all that lie beside this file.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--write", action="store_true", help="store the outputs in the notebooks")
    parser.add_argument("--full", action="store_true", help="train as a learner would, not for seconds only")
    told = parser.parse_args()
    paths = told.notebooks or sorted(HERE.glob("*.ipynb"))
    paths = [path if path.exists() else HERE / path for path in paths]
    for path in paths:
        if not path.is_file():
            there = ", ".join(sorted(other.name for other in HERE.glob("*.ipynb")))
            parser.error(f"there is no notebook {path.name}; here are {there}")
    failed = 0
    for path in paths:
        began = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        try:
            places = execute(notebook, path.name, quick=not told.full)
        except Failed as error:
            print(f"{error}\n", file=sys.stderr)
            failed += 1
            continue
        if told.write:
            nbformat.write(tidy(notebook, places), path)
        print(f"{path.name:40} {time.monotonic() - began:6.1f} s", flush=True)
    if failed:
        sys.exit(f"{failed} of {len(paths)} notebooks failed")


if __name__ == "__main__":
    main()
