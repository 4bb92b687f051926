"""Methods against each other: same prompts, weights, dtype and process, warm, interleaved, repeated.

`contenders` decode and time one call, `measuring` lets them take turns, `store` keeps every call, `divergence` says
where and why a text leaves plain greedy's, `rows` makes a row of each method, `report` prints. Every time is measured
around the whole call, everything included but the trace.
"""

from gsd.lab.bench.contenders import OWN, Measurement, OwnMethod, PeerMethod, methods_to_run
from gsd.lab.bench.measuring import PromptResult, measure
from gsd.lab.bench.rows import best_peer, summary
from gsd.lab.peers import plain_peer

__all__ = [
    "OWN",
    "Measurement",
    "OwnMethod",
    "PeerMethod",
    "PromptResult",
    "best_peer",
    "measure",
    "methods_to_run",
    "plain_peer",
    "summary",
]
