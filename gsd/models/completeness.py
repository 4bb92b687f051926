"""Whether a checkpoint holds what its configuration asks for: transformers fills what is missing with random numbers.

What may be missing or unused is what transformers itself allows for an architecture (tied weights, buffers that are
made anew, prediction of several tokens), and a few things that stand beside the language model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from transformers import PreTrainedConfig, PreTrainedModel

from gsd.errors import ModelError
from gsd.models.diagnosis import damage
from gsd.spec import ModelSpec

SHOWN = 3  # names in a message
# Unused by plain decoding, whatever the architecture: heads that predict several tokens, heads of value models.
_BESIDE = re.compile(r"(^|\.)(mtp|nextn|mtp_layers|v_head)(\.|$)|rotary_emb\.inv_freq$|(^|\.)position_ids$")
_LAYER = re.compile(r"(^|\.)(?:layers|blk|h)\.(\d+)\.")
_HEAD = re.compile(r"^(?:model\.)?(fc|fc_norm|d2t|t2d|midlayer|hidden_norm|eh_proj)(\.|$)")
_PREFIX = re.compile(r"^(_orig_mod|module|base_model|_forward_module|_fsdp_wrapped_module)\.")


def check_complete(model: PreTrainedModel, report: dict[str, Iterable], spec: ModelSpec) -> None:
    """Refuse, by name, what was not in the checkpoint or has no place in the model.

    `report` is the loading information of transformers.
    """
    missing = sorted(report["missing_keys"])
    unexpected = sorted(key for key in report["unexpected_keys"] if not _may_be_unused(key, model.config))
    mismatched = sorted(report["mismatched_keys"])
    if not missing and not unexpected and not mismatched and not report.get("error_msgs"):
        return
    kind = type(model).__name__
    faults = []
    if missing:
        faults.append(f"{len(missing)} of the weights of a {kind} are missing ({_named(missing)})")
    if mismatched:
        name, has, wants = mismatched[0]
        more = f", and {len(mismatched) - 1} more" if len(mismatched) > 1 else ""
        faults.append(f"{name} is {_shape(has)} where its configuration says {_shape(wants)}{more}")
    if unexpected:
        faults.append(f"{len(unexpected)} weights have no place in a {kind} ({_named(unexpected)})")
    faults += [" ".join(str(said).split()) for said in report.get("error_msgs", ())]
    raise ModelError(
        f"{spec.source} does not hold the model that its configuration describes: {'; '.join(faults)}; "
        f"{damage(spec) or _way_out(missing, unexpected)}"
    )


def _may_be_unused(key: str, config: PreTrainedConfig) -> bool:
    """Beside what transformers has left out already: extra heads, and layers that predict further tokens."""
    if _BESIDE.search(key):
        return True
    text = config.get_text_config(decoder=True)
    more = getattr(text, "num_nextn_predict_layers", None) or getattr(text, "num_mtp_layers", None) or 0
    layer = _LAYER.search(key)
    count = getattr(text, "num_hidden_layers", 0)
    return layer is not None and count <= int(layer[2]) < count + more


def _way_out(missing: list[str], unexpected: list[str]) -> str:
    if any(_HEAD.match(key) for key in unexpected):
        return "it looks like a draft head (EAGLE, MTP), which reads its target's states and is no model of its own"
    prefixes = {found[1] for key in unexpected if (found := _PREFIX.match(key))}
    if missing and prefixes:
        return f"its weights were saved by a wrapper, with {prefixes.pop()!r} before their names: save the model inside"
    if any("lora_" in key for key in unexpected):
        return "it has the weights of an adapter (LoRA): merge them into the model first"
    if missing:
        return "download or convert it again, or correct its config.json"
    return "correct its config.json, which may be that of another model"


def _named(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")


def _shape(size: Iterable[int]) -> str:
    return " x ".join(map(str, size))
