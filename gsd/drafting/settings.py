"""Settings of drafts that grow level by level, after Gong et al., 2407.16207. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gsd.spec import Fixed, Probability, Spec, Words

Width = Annotated[
    int,
    Field(ge=1, le=64),
    Words("Width", "How many candidates the draft gives each expanded node: its most probable tokens.", 1, "count"),
]
Depth = Annotated[
    int,
    Field(ge=1, le=64),
    Words("Depth", "How many levels a graph has at most. Each level is one draft forward.", 1, "levels"),
]
FreeDepth = Annotated[
    int, Field(ge=1, le=64), Words("Depth", "Levels of the tree; they take no forwards.", 1, "levels")
]
MergeContext = Annotated[
    Annotated[int, Field(ge=0, le=16)] | None,
    Words("Merge context", "How many tokens before a candidate must also match for it to merge with a node. 0 compares "
          "the token alone, 1 a bigram; none turns merging off.", unit="tokens"),
]  # fmt: skip
SiblingThreshold = Annotated[
    Probability,
    Words("Sibling threshold", "Drop a candidate that is much less probable than its best sibling: "
          "`q < threshold × q_best`.", 0.01, "ratio"),
]  # fmt: skip
ProbThreshold = Annotated[
    Probability,
    Words("Prob. threshold", "Do not expand a candidate below this probability: `q(path) < threshold`, or "
          "`q < threshold` by the local rule.", 0.01, "probability"),
]  # fmt: skip
ProbRule = Annotated[
    Literal["path", "local"],
    Words("Probability rule", "Which probability the threshold looks at. path: the product of q along the path. "
          "local: the candidate's own q, as in the paper's code."),
]  # fmt: skip
ProbAction = Annotated[
    Literal["leaf", "drop"],
    Words("Improbable candidates", "What becomes of a candidate below the probability threshold. leaf: it is verified "
          "but not expanded. drop: it is left out."),
]  # fmt: skip
Frontier = Annotated[
    int,
    Field(ge=1, le=1024),
    Words("Frontier", "How many nodes are expanded on each level: those with the most probable paths.", 1, "nodes"),
]
Budget = Annotated[
    int,
    Field(ge=1, le=1024),
    Words("Budget", "How many drafted nodes the target verifies in one forward. The root comes on top.", 1, "nodes"),
]

NoThreshold = Annotated[float, Fixed(0.0)]


def none_in_words(value: object) -> object:
    """The value of an optional setting that may be given in words, as options and grids do."""
    return None if value == "none" else value


def nodes_by_level(widths: Sequence[int]) -> list[int]:
    """Nodes of each level of a tree whose nodes have so many children at each depth."""
    return list(accumulate(widths, mul))


class LevelSettings(Spec):
    """How hypotheses are drafted, merged and flattened.

    The defaults make deep and narrow drafts. A level costs a draft forward, so it is drafted only if it is likely to
    be reached. Where the draft is sure, it may go on for long.
    """

    width: Width = 4
    depth: Depth = 20
    merge_context: MergeContext = 1
    sibling_threshold: SiblingThreshold = 0.1
    prob_threshold: ProbThreshold = 0.4
    prob_rule: ProbRule = "path"
    prob_action: ProbAction = "leaf"
    frontier: Frontier = 3
    budget: Budget = 32

    _none_in_words = field_validator("merge_context", mode="before", check_fields=False)(none_in_words)


class RankedSettings(LevelSettings):
    """A tree by the order of candidates alone: nothing is merged, and no threshold drops or keeps any."""

    merge_context: Literal[None] = None
    sibling_threshold: NoThreshold = 0.0
    prob_threshold: NoThreshold = 0.0
    prob_rule: Literal["path"] = "path"
    prob_action: Literal["leaf"] = "leaf"


class PlannedSettings(LevelSettings):
    """Settings of method `auto`, which drafts and verifies by cost alone. Most are fixed, and wide."""

    width: Literal[6] = 6
    depth: Literal[64] = 64
    sibling_threshold: Annotated[float, Fixed(0.02)] = 0.02
    prob_threshold: NoThreshold = 0.0
    prob_rule: Literal["path"] = "path"
    prob_action: Literal["leaf"] = "leaf"
    frontier: Literal[1024] = 1024
    budget: Literal[128] = 128
    lookup: Annotated[
        bool, Words("Look in the text", "Also draft continuations that are found in the prompt and the text so far.")
    ] = True
    history: Annotated[
        bool,
        Words("Look among rejected", "Also draft continuations that are found among rejected hypotheses. Off by "
              "default: it gained nothing."),
    ] = False  # fmt: skip
    calibrated: Annotated[
        bool,
        Words("Learn from outcomes", "Judge a token by how often tokens with a similar q were accepted, not by its q "
              "itself."),
    ] = True  # fmt: skip
