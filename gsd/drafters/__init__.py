"""Drafters by method name. A new one is a file here and a line in the table."""

from gsd.drafters.auto import AutoDrafter
from gsd.drafters.base import Drafter
from gsd.drafters.graph import GraphDrafter
from gsd.drafters.null import NullDrafter

DRAFTERS: dict[str, type[Drafter]] = {
    "ar": NullDrafter,
    "chain": GraphDrafter,
    "tree": GraphDrafter,
    "graph": GraphDrafter,
    "auto": AutoDrafter,
}
