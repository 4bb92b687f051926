"""Drafters by method name. A new one is a file here and a line in the table."""

from gsd.drafting.auto import AutoDrafter
from gsd.drafting.base import Drafter
from gsd.drafting.model_fed import GraphDrafter
from gsd.drafting.null import NullDrafter

DRAFTERS: dict[str, type[Drafter]] = {
    "ar": NullDrafter,
    "chain": GraphDrafter,
    "tree": GraphDrafter,
    "graph": GraphDrafter,
    "auto": AutoDrafter,
}
