"""Labs: break the model on purpose, after a guess at what will happen.

lab = find("no-mask")
print(lab.question, lab.change)
result = recorded("no-mask")[0]        # or carry_out(lab, prepare(load_character("guppy"), seed=1), seed=1)
print(lab.lesson(result).says)
"""

from guppylm.labs.core import CORE
from guppylm.labs.further import FURTHER
from guppylm.labs.lab import Lab, Lesson, carry_out
from guppylm.labs.recipe import prepare
from guppylm.labs.result import Figures, Result, record, recorded

__all__ = ["LABS", "Figures", "Lab", "Lesson", "Result", "carry_out", "find", "prepare", "record", "recorded"]

LABS = (*CORE, *FURTHER)


def find(name: str) -> Lab:
    """The lab of that name. Raises ValueError, with the names that there are."""
    for lab in LABS:
        if lab.name == name:
            return lab
    raise ValueError(f"no lab {name!r}; there are {', '.join(lab.name for lab in LABS)}")
