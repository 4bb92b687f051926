"""What a draft that grows level by level goes by: the settings of Gong et al., 2407.16207. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from gsd.spec import Fixed, Probability, Spec, Words

Width = Annotated[
    int,
    Field(ge=1, le=64),
    Words("Width", "Candidates taken per expanded node, the most probable first.", 1, "count"),
]
Depth = Annotated[int, Field(ge=1, le=64), Words("Depth", "Levels of the graph, each one draft forward.", 1, "levels")]
MergeContext = Annotated[
    Annotated[int, Field(ge=0, le=16)] | None,
    Words("Merge context", "Tokens before a candidate that must agree, too, for it to merge with a node: 0 compares "
          "the token alone, 1 a bigram; none never merges.", unit="tokens"),
]  # fmt: skip
SiblingThreshold = Annotated[
    Probability,
    Words("Sibling threshold", "Drop a candidate whose q is below this share of its best sibling's: "
          "`q < threshold × q_best`.", 0.01, "ratio"),
]  # fmt: skip
ProbThreshold = Annotated[
    Probability,
    Words("Prob. threshold", "A candidate below this probability is not expanded: `q(path) < threshold`, or the local "
          "`q` by the paper's rule.", 0.01, "probability"),
]  # fmt: skip
ProbRule = Annotated[
    Literal["path", "local"],
    Words("Probability rule", "What the probability threshold looks at: the product of q along the path, or the "
          "candidate's own, local q as in the paper's code."),
]  # fmt: skip
ProbAction = Annotated[
    Literal["leaf", "drop"],
    Words("Improbable candidates", "Below the probability threshold a candidate stays as a leaf, verified but not "
          "expanded, or it is dropped."),
]  # fmt: skip
Frontier = Annotated[
    int,
    Field(ge=1, le=1024),
    Words("Frontier", "Nodes expanded per level, by the probability of their path.", 1, "nodes"),
]
Budget = Annotated[
    int,
    Field(ge=1, le=1024),
    Words("Budget", "Drafted nodes verified in one target forward; the root comes on top.", 1, "nodes"),
]

NoThreshold = Annotated[float, Fixed(0.0)]


class LevelSettings(Spec):
    """How hypotheses are drafted, merged and flattened.

    The defaults are deep and sparing: a level costs a forward, so it must be likely to be reached, and where the
    draft is sure it may run on.
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

    @field_validator("merge_context", mode="before", check_fields=False)
    @classmethod
    def _none_in_words(cls, merge_context: object) -> object:
        return None if merge_context == "none" else merge_context


class PlannedSettings(LevelSettings):
    """No rule but the costs: what cannot pay is neither expanded nor verified."""

    width: Literal[6] = 6
    depth: Literal[64] = 64
    sibling_threshold: Annotated[float, Fixed(0.02)] = 0.02
    prob_threshold: NoThreshold = 0.0
    prob_rule: Literal["path"] = "path"
    prob_action: Literal["leaf"] = "leaf"
    frontier: Literal[1024] = 1024
    budget: Literal[128] = 128
    lookup: Annotated[
        bool, Words("Look in the text", "Continuations found in the prompt and the text so far are hypotheses, too.")
    ] = True
    history: Annotated[
        bool,
        Words("Look among rejected", "And those found among hypotheses that were rejected earlier. Off by default: "
              "it gained nothing."),
    ] = False  # fmt: skip
    calibrated: Annotated[
        bool,
        Words("Learn from outcomes", "A token is judged by what became of tokens that the draft gave a like q, not "
              "by its q itself."),
    ] = True  # fmt: skip
