"""Methods against each other: same prompts, weights, dtype and process, warm, interleaved, repeated.

`contenders` decode and time one call. `measuring` lets them take turns. `store` saves every call. `divergence` finds
where a text differs from plain greedy decoding, and why. `rows` makes one row per method, `report` prints them. Times
cover the whole call, without a trace.
"""

from gsd.lab.bench.contenders import OWN, ExternalMethod, Measurement, OwnMethod, methods_to_run
from gsd.lab.bench.measuring import PromptResult, measure
from gsd.lab.bench.rows import best_external, summary
from gsd.lab.external import plain_external

__all__ = [
    "OWN",
    "ExternalMethod",
    "Measurement",
    "OwnMethod",
    "PromptResult",
    "best_external",
    "measure",
    "methods_to_run",
    "plain_external",
    "summary",
]
