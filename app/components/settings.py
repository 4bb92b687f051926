"""The settings of the next run, in the sidebar."""

from __future__ import annotations

import json
from typing import Any, get_args

import streamlit as st

from analysis.words import plain
from app.components.consent import forget, is_trusted, would_download
from app.components.method_settings import chosen as chosen_drafting
from app.components.method_settings import defaults as method_defaults
from app.components.method_settings import method_settings, taken
from app.prompt_library import prompts
from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.methods import METHODS, PRESETS, USUAL, settings_of
from gsd.models.pairs import PAIRS, available, pair
from gsd.spec import Dtype, ModelSpec, Prompt, Quantization, SamplingSpec, build

OWN = "own models"
ROLES = ("target", "draft")
SAMPLING = ("temperature", "top_k", "top_p", "seed")  # how tokens are drawn is nobody's choice
LARGEST = 2**53 - 1  # that a number field of the browser holds; a seed may be larger
FIRST = "auto"  # the method of a first visit
ONE, SEVERAL = "One prompt", "Several"  # what is decoded next
LEARNED = "learns from measured times and outcomes, so the same settings may draft differently, with the same text"
METHOD_HELP = " ".join(f"**{name}**: {one.summary}." for name, one in METHODS.items())
STOP_HELP = 'The text ends before the first of them. In quotes, line breaks can be written: `"\\n\\n"`.'


def keep_settings() -> None:
    """Keep the settings while another view is on show: a widget's value goes with its widget otherwise."""
    for name, value in _defaults().items():
        st.session_state[name] = st.session_state.get(name, value)


def settings_sidebar() -> None:
    """Draw every setting; the values live in `st.session_state` until `run_spec` reads them."""
    with st.sidebar:
        st.markdown("**Settings of the next run**")
        _pair()
        st.segmented_control("Method", METHODS, key="method", help=METHOD_HELP, required=True)
        _drafting()
        with st.expander("Sampling and length"):
            _sampling()
        with st.expander("Device and recording"):
            _machine()


def run_spec(prompt: Prompt) -> RunSpec:
    """The settings as a `RunSpec` for a prompt. Raises `InputError` naming the option that is wrong."""
    chosen = st.session_state
    own = chosen["pair"] == OWN
    target = _own_model("target") if own else pair(chosen["pair"]).target
    return build(RunSpec, {
        "target": target,
        "draft": _draft(own),
        "pair": None if own else chosen["pair"],
        "prompt": prompt if chosen["chat"] else prompt.model_copy(update={"chat": False}),
        "drafting": chosen_drafting(),
        "sampling": build(SamplingSpec, {name: chosen[name] for name in SAMPLING}),
        "max_new_tokens": chosen["max_new_tokens"],
        "stop": tuple(_stop_of(line) for line in chosen["stop"].splitlines() if line),
        "device": chosen["device"].strip(),
        "dtype": chosen["dtype"],
        "packed": chosen["packed"],
        "detail": "full" if chosen["full_detail"] else "counters",
    })  # fmt: skip


def _stop_line(string: str) -> str:
    """A stop string as a line of the field: in JSON's quotes where it would not come back as it is."""
    return string if string.isprintable() and not string.startswith('"') else json.dumps(string)


def _stop_of(line: str) -> str:
    if not line.startswith('"'):
        return line
    try:
        return json.loads(line)
    except ValueError:
        raise InputError(f'stop string {line}: in quotes it is read as JSON, such as "\\n\\n"') from None


def preset_of(drafting: dict[str, Any]) -> str | None:
    """The preset that the settings of a draft are, if any."""
    name = drafting["method"]
    if name not in METHODS:  # of a package that is not installed
        return None
    found = (preset for preset in METHODS[name].presets if _preset_values(preset, name).items() <= drafting.items())
    return next(found, None)


def take_settings(spec: dict[str, Any]) -> None:
    """Set every setting to those of a recorded run, so that it can be run again with one of them changed.

    The models that it names itself are asked for when they are to be loaded, and so is trust in code of theirs.
    """
    forget()
    own, prompt = spec["pair"] not in PAIRS, spec["prompt"]["prompt"]
    of_the_library = any(one.prompt == prompt and not one.chat for one in prompts())  # goes without a template anyway
    st.session_state.update({
        "pair": OWN if own else spec["pair"],
        "own_target": spec["target"]["source"] if own else "",
        "own_draft": spec["draft"]["source"] if own and spec["draft"] else "",
        "own_as_recorded": {role: spec[role] for role in ROLES if own and spec[role]},
        "mode": ONE, "prompt": prompt, "chat": of_the_library or spec["prompt"]["chat"] is not False,
        **taken(spec["drafting"]),
        **{name: spec["sampling"][name] for name in SAMPLING}, "seed": str(spec["sampling"]["seed"]),
        "max_new_tokens": spec["max_new_tokens"],
        "stop": "\n".join(map(_stop_line, spec["stop"])), "device": spec["device"], "dtype": spec["dtype"],
        "packed": spec["packed"], "draft_quant": (spec["draft"] or {}).get("quantization", "none"),
        "full_detail": spec["detail"] == "full",
    })  # fmt: skip


def _draft(own: bool) -> ModelSpec | None:
    """The preset's draft is named for `ar` as well, so that changing the method loads nothing anew."""
    if own:
        draft = _own_model("draft") if st.session_state["own_draft"].strip() else None
    else:
        draft = pair(st.session_state["pair"]).draft
    return draft and draft.model_copy(update={"quantization": st.session_state["draft_quant"]})


def models_as_recorded() -> list[ModelSpec]:
    """The models in the form that a recorded run named itself, as it named them."""
    if st.session_state["pair"] != OWN:
        return []
    return [model for role in ROLES if (model := _recorded(role))]


def _recorded(role: str) -> ModelSpec | None:
    """What the run that the settings are from had for `role`, while the form still names it."""
    found = st.session_state["own_as_recorded"].get(role)
    if found is None or found["source"] != st.session_state[f"own_{role}"].strip():
        return None
    return build(ModelSpec, {name: found[name] for name in ("source", "revision", "trust_remote_code")})


def _own_model(role: str) -> ModelSpec:
    """What is named for `role`: with the revision that a recorded run had, and trusted if that was said since."""
    recorded = _recorded(role)
    if recorded is None:
        return build(ModelSpec, {"source": st.session_state[f"own_{role}"].strip()})
    return recorded.model_copy(update={"trust_remote_code": is_trusted(recorded)})


def _defaults() -> dict[str, Any]:
    """Widget values before the first draw; a value already there is the user's."""
    return {
        "pair": _pairs_here()[0], "own_target": "", "own_draft": "", "own_as_recorded": {}, "mode": ONE, "prompt": "",
        "method": FIRST, **method_defaults(), "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": "0",
        "several": [], "max_new_tokens": 64, "stop": "", "chat": True, "device": "auto", "dtype": "auto",
        "packed": True, "draft_quant": "auto", "full_detail": True, "baseline": False,
    }  # fmt: skip


@st.cache_data(ttl=30, show_spinner=False)
def _pairs_here() -> list[str]:
    """Presets whose weights are on this machine, then the user's own."""
    return [*(name for name, spec in PAIRS.items() if available(spec)), OWN]


def _pair() -> None:
    missing = [name for name in PAIRS if name not in _pairs_here()]
    labels = {name: f"{name} · {'not on this machine' if name in missing else spec.note}"
              for name, spec in PAIRS.items()}  # fmt: skip
    asked = st.session_state["pair"]  # that of a recorded run may be missing
    st.selectbox(
        "Pair", dict.fromkeys([*_pairs_here(), asked]), key="pair", format_func=lambda name: labels.get(name, name),
        help="A target and a draft with one tokenizer. Not on this machine: " + (", ".join(missing) or "none")
             + ". `gsd pairs` says where the presets come from.",
    )  # fmt: skip
    if st.session_state["pair"] in missing:
        st.caption("*Run* downloads its models.")
    if st.session_state["pair"] == OWN:
        where = "Hub id, local folder with safetensors, or GGUF file."
        st.text_input("Target", key="own_target", placeholder="org/model or /path/to/folder", help=where)
        st.text_input("Draft", key="own_draft", placeholder="a smaller model with the same vocabulary", help=where)
        for role in ROLES:
            _as_recorded(role)


def _as_recorded(role: str) -> None:
    """Say what of a model the fields do not show: what a recorded run had of it, and that it is not here."""
    if not st.session_state[f"own_{role}"].strip():
        return
    recorded, model, words = _recorded(role), _own_model(role), []
    if model.revision is not None:
        words.append(f"revision {plain(model.revision)}")
    if model.trust_remote_code:
        words.append("**code that comes with the model is run**")
    elif recorded and recorded.trust_remote_code:
        words.append("code that comes with the model was run, and is not unless you say so")
    if words:
        st.caption(f"{role.capitalize()} as in the run that these settings are from: {', '.join(words)}. "
                   "Under another name, without.")  # fmt: skip
    if would_download(model):
        st.caption(f"*Run* downloads {plain(model.name)}.")


def _drafting() -> None:
    method = st.session_state["method"]
    st.session_state["preset"] = preset_of(chosen_drafting().model_dump())
    usual = "" if METHODS[method].presets else f"; from *{method}* it goes to *{USUAL}*, which reads them"
    st.pills("Preset", PRESETS, key="preset", on_change=_take_preset, disabled=not settings_of(METHODS[method]),
             help=f"Fills in the settings below{usual}. **paper**: the authors' code; **fast**: the defaults; "
                  "**wide**: many hypotheses, to see them merge. None is marked once one is changed.")  # fmt: skip
    method_settings(method)


def _sampling() -> None:
    st.number_input("New tokens", 1, 1_000_000, key="max_new_tokens", help="The text ends after exactly so many, or "
                    "earlier by end-of-text, context or a stop string.")  # fmt: skip
    left, right = st.columns(2, gap="xsmall")
    with left:
        st.number_input("Temperature", 0.0, 100.0, step=0.1, key="temperature", help="0 is greedy. Whatever it is, "
                        "the text has exactly the target's law.")  # fmt: skip
        st.number_input("Top p", 1e-6, 1.0, step=0.05, key="top_p", format="%.6g", help="1 filters nothing.")
    with right:
        st.number_input("Top k", 0, LARGEST, key="top_k", help="0 filters nothing.")
        st.text_input("Seed", key="seed", help="A whole number. Each draw is keyed by seed and position: one seed "
                      "gives one text, whatever the method, unless it keeps only the law of texts.")  # fmt: skip
    st.text_area("Stop strings", key="stop", height=68, placeholder="one a line", help=STOP_HELP)
    st.checkbox("Chat template", key="chat", help="Wrap the prompt in the model's chat template where it has one. "
                "Prompts of the library that begin a text go without.")  # fmt: skip


def _machine() -> None:
    left, right = st.columns(2, gap="xsmall")
    with left:
        st.text_input("Device", key="device", help="`auto`, `cpu`, `cuda` or `cuda:1`.")
    with right:
        st.selectbox("Number type", get_args(Dtype), key="dtype", help="`auto`: float32 on a CPU, for a large target "
                     "what is fastest there by measurement. Where identity matters, take float32.")  # fmt: skip
    st.segmented_control("Draft weights", get_args(Quantization), key="draft_quant", required=True,
                         help="Weights of 8 or 4 bits make a large draft's forwards faster and change its guesses "
                              "little. The text stays the target's own, whatever the draft. **auto**: what is fastest "
                              "on this CPU by measurement; none for a small model, and on a GPU.")  # fmt: skip
    st.checkbox("Pack weights", key="packed", help="Lay them out for the CPU's matrix kernels where it has such. "
                "Faster and as exact; sums in another order may decide a near tie another way.")  # fmt: skip
    st.checkbox("Record every node", key="full_detail", help="Off: counts and times only, as timed comparisons "
                "use. Then there is no graph to look at.")  # fmt: skip


def _preset_values(preset: str, method: str) -> dict[str, Any]:
    """What a preset makes of the settings that the method reads."""
    values = METHODS[method].Settings(**METHODS[method].presets[preset]).model_dump()
    return {name: values[name] for name in settings_of(METHODS[method])}


def _take_preset() -> None:
    preset, method = st.session_state["preset"], st.session_state["method"]
    if preset is None:
        return
    if preset not in METHODS[method].presets:
        method = USUAL
    st.session_state.update(taken({"method": method, **_preset_values(preset, method)}))
