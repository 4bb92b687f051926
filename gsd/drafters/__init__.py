"""Drafters by method name. A new one is a file here and a line in the table."""

from gsd.drafters.base import Drafter
from gsd.drafters.chain import ChainDrafter
from gsd.drafters.graph import GraphDrafter
from gsd.drafters.null import NullDrafter
from gsd.drafters.tree import TreeDrafter

DRAFTERS: dict[str, type[Drafter]] = {
    "ar": NullDrafter,
    "chain": ChainDrafter,
    "tree": TreeDrafter,
    "graph": GraphDrafter,
}
