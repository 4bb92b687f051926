"""What cannot be decoded losslessly is refused when it is loaded, with the reason."""

import gc
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from fixtures.recorded import run_spec
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MptConfig,
    Phi3Config,
    T5Config,
    T5ForConditionalGeneration,
)

from cli import output
from gsd.decode import worker
from gsd.decode.runner import Runner
from gsd.errors import ModelError, PairError
from gsd.lab.executors import pair_loader
from gsd.models.cache import KVCache, LayerShape
from gsd.models.hf import HFModel
from gsd.models.loading import load_model, load_stock
from gsd.models.pairs import available, pair
from gsd.models.places import BUNDLED, located
from gsd.spec import ModelSpec

MAPS = Path("/proc/self/maps")

SIZES = {"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
REFUSED = {
    "encoder-decoder": lambda: T5ForConditionalGeneration(
        T5Config(vocab_size=16, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ),
    "sliding window": lambda: MistralForCausalLM(MistralConfig(**SIZES, **HEADS, sliding_window=8)),
    "a sliding window": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, **HEADS, head_dim=8, sliding_window=8)),
    "recurrent": lambda: MambaForCausalLM(MambaConfig(**SIZES, state_size=4, intermediate_size=32)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_an_unsupported_architecture_is_refused_with_its_reason(reason, tmp_path):
    REFUSED[reason]().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=reason) as error:
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    assert str(tmp_path) in str(error.value)


POSITIONS = {
    "rope type 'dynamic'": LlamaConfig(**SIZES, **HEADS, rope_parameters={"rope_type": "dynamic", "factor": 2.0}),
    "rope type 'longrope'": Phi3Config(
        **SIZES, **HEADS, pad_token_id=0, max_position_embeddings=64, original_max_position_embeddings=32,
        rope_parameters={"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
                         "original_max_position_embeddings": 32},
    ),
    "falcon .*ALiBi": FalconConfig(**SIZES, num_attention_heads=2, alibi=True),
    "bloom .*ALiBi": BloomConfig(vocab_size=16, hidden_size=16, n_layer=2, n_head=2),
    "mpt .*ALiBi": MptConfig(vocab_size=16, d_model=16, n_layers=2, n_heads=2),
}  # fmt: skip


@pytest.mark.parametrize("reason", POSITIONS)
def test_positions_from_elsewhere_than_the_position_ids_are_refused_before_any_weight_is_read(reason, tmp_path):
    POSITIONS[reason].save_pretrained(tmp_path)  # no weights: reading them would be another error
    with pytest.raises(ModelError, match=reason):
        load_model(ModelSpec(source=str(tmp_path)), "cpu")


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SIZES, **HEADS, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}),
        FalconConfig(**SIZES, num_attention_heads=2, alibi=False),
    ],
    ids=["linear", "falcon"],
)
def test_their_kin_that_go_by_the_position_ids_are_loaded(config, tmp_path):
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    assert load_model(ModelSpec(source=str(tmp_path)), "cpu").vocab_size == 16


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"1")
    with pytest.raises(ModelError, match=r"weights\.bin"):
        load_model(ModelSpec(source=str(path)), "cpu")
    broken = tmp_path / "weights.gguf"
    broken.write_bytes(b"GGUF, not really")
    with pytest.raises(ModelError, match=r"weights\.gguf"):
        load_model(ModelSpec(source=str(broken)), "cpu")


def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(ModelError, match="cuda:77"):
        load_model(ModelSpec(source=str(BUNDLED / "draft")), "cuda:77")


def test_another_vocabulary_is_refused_by_name(tmp_path):
    target = AutoTokenizer.from_pretrained(BUNDLED / "target")
    vocabulary = json.loads((BUNDLED / "draft" / "tokenizer.json").read_text())["model"]["vocab"]
    first, second = list(vocabulary)[300:302]
    text = (BUNDLED / "draft" / "tokenizer.json").read_text()
    data = json.loads(text)
    data["model"]["vocab"][first], data["model"]["vocab"][second] = vocabulary[second], vocabulary[first]
    target.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    config = LlamaConfig(vocab_size=len(target), hidden_size=16, num_hidden_layers=1, **HEADS)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(PairError, match="different vocabularies"):
        Runner.load(ModelSpec(source=str(BUNDLED / "target")), ModelSpec(source=str(tmp_path)), device="cpu")


def test_a_smaller_vocabulary_is_refused_with_both_sizes(tmp_path):
    """The draft's tokenizer lacks the last token of the target's; the rest is the same."""
    data = json.loads((BUNDLED / "draft" / "tokenizer.json").read_text())
    vocabulary = data["model"]["vocab"]
    added = {token["content"] for token in data["added_tokens"]}
    last = max(set(vocabulary) - added, key=vocabulary.get)
    del vocabulary[last]
    data["model"]["merges"] = [merge for merge in data["model"]["merges"] if "".join(merge) != last]
    AutoTokenizer.from_pretrained(BUNDLED / "target").save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    size = len(AutoTokenizer.from_pretrained(BUNDLED / "target"))
    LlamaForCausalLM(LlamaConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1, **HEADS)).save_pretrained(
        tmp_path
    )
    with pytest.raises(PairError, match=rf"{size} and {size - 1} tokens"):
        Runner.load(ModelSpec(source=str(BUNDLED / "target")), ModelSpec(source=str(tmp_path)), device="cpu")


def test_dtype_is_as_asked():
    spec = ModelSpec(source=str(BUNDLED / "draft"))
    assert load_model(spec, "cpu").dtype == torch.float32
    assert load_model(spec, "cpu", "bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("quantization", ["none", "int4"])
def test_a_model_to_measure_against_is_not_frozen(quantization):
    """Frozen, its head would be copied in every forward over several tokens: a baseline slower than people have it."""
    stock = load_stock(ModelSpec(source=str(BUNDLED / "draft"), quantization=quantization), "cpu", "bfloat16")
    weights = list(stock.parameters())
    assert weights and all(weight.requires_grad for weight in weights)


@pytest.mark.skipif(not MAPS.exists(), reason="no list of mapped files")
@pytest.mark.parametrize("native", [True, False])
def test_no_file_stays_mapped_for_what_is_left_of_its_weights(tmp_path, native):
    """All of it that was read would stay resident, beside the weights that were made of it."""
    copied = shutil.copytree(pair("tiny").target.source, tmp_path / "model")
    spec = ModelSpec(source=str(copied), quantization="int4")
    whole = load_stock(ModelSpec(source=str(copied)), "cpu", "bfloat16")
    assert str(copied) in MAPS.read_text()
    del whole
    gc.collect()
    loaded = load_model(spec, "cpu", "bfloat16", native=native, packed=True)
    assert str(copied) not in MAPS.read_text(), loaded


def test_local_models_are_found_by_the_name_of_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GSD_MODELS", str(tmp_path))
    qwen = pair("qwen2.5-coder")
    assert not available(qwen)
    for model in (qwen.target, qwen.draft):
        (tmp_path / model.source.rsplit("/", 1)[-1].lower()).mkdir()
    assert located(qwen.target) == tmp_path / "qwen2.5-coder-1.5b-instruct"
    assert available(qwen)


def test_a_path_is_no_other_folder_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.setenv("GSD_MODELS", str(tmp_path))
    (tmp_path / "some-model").mkdir()
    assert located(ModelSpec(source="someone/some-model")) == tmp_path / "some-model"
    assert located(ModelSpec(source="/elsewhere/some-model")) is None


def no_way(*_, **__):
    raise URLError("no network")


@pytest.mark.parametrize("source", ["someone/no-such-model", "no-such-model"])
def test_what_is_not_here_is_refused_at_once_where_the_hub_cannot_be_reached(monkeypatch, source):
    monkeypatch.setattr("gsd.models.sources.urlopen", no_way)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError, match=rf"{source}.*no network.*GSD_MODELS"):
        load_model(ModelSpec(source=source))


@pytest.mark.parametrize("source", ["/no-such-model", "./model", "../model", "~/no-such-model", "no/such/folder"])
def test_a_path_is_not_looked_for_on_the_hub(monkeypatch, source):
    monkeypatch.setattr("gsd.models.sources.urlopen", no_way)
    with pytest.raises(ModelError, match="there is no folder or file") as error:
        load_model(ModelSpec(source=source))
    assert source in str(error.value) and "network" not in str(error.value)


def test_a_revision_of_something_local_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"draft.*no revision 'v2'"):
        load_model(ModelSpec(source=str(BUNDLED / "draft"), revision="v2"), "cpu")
    (tmp_path / "some.gguf").write_bytes(b"")
    with pytest.raises(ModelError, match=r"some\.gguf.*no revision 'v2'"):
        load_model(ModelSpec(source=str(tmp_path / "some.gguf"), revision="v2"), "cpu")
    monkeypatch.setenv("GSD_MODELS", str(tmp_path))
    (tmp_path / "some-model").mkdir()
    with pytest.raises(ModelError, match=r"someone/some-model.*no revision 'v2'"):
        load_model(ModelSpec(source="someone/some-model", revision="v2"), "cpu")


def test_the_commit_that_was_loaded_from_the_hub_s_cache_is_recorded(monkeypatch, tmp_path):
    """A cache as the hub's library makes it: `main` names a commit, whose files lie in a folder of its name."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--some-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS)).save_pretrained(repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("GSD_MODELS", raising=False)
    for revision in (None, "main", commit):
        described = load_model(ModelSpec(source="someone/some-model", revision=revision), "cpu").describe()
        assert described["revision"] == commit
    assert load_model(ModelSpec(source=str(BUNDLED / "draft")), "cpu").describe()["revision"] is None


NO_TOKENS = SimpleNamespace(added_tokens_decoder={}, all_special_ids=[])  # a tokenizer of which nothing is asked


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has two CUDA devices without bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)


def test_with_several_gpus_the_target_is_divided_and_the_draft_is_not(two_gpus, monkeypatch):
    asked = []

    def load(spec, device, dtype, packed, held=None):
        asked.append((spec.source, device))
        return SimpleNamespace(counter=None)

    monkeypatch.setattr("gsd.decode.runner.load_model", load)
    monkeypatch.setattr(
        "gsd.decode.runner.load_tokenizer", lambda spec: SimpleNamespace(added_tokens_decoder={}, all_special_ids=[])
    )
    monkeypatch.setattr("gsd.decode.runner.check_pair", lambda *_: None)
    Runner.load(ModelSpec(source="target"), ModelSpec(source="draft"), device="auto")
    Runner.load(ModelSpec(source="target"), ModelSpec(source="draft"), device="cuda:1")
    assert asked == [("draft", "cuda:0"), ("target", "auto"), ("draft", "cuda:1"), ("target", "cuda:1")]


def of_the_worker(monkeypatch):
    """How the engine process loads a run's models."""
    handed = []
    for name in ("give_way", "claim_stdout"):
        monkeypatch.setattr(worker, name, lambda: None)
    monkeypatch.setattr(worker, "Worker", lambda load, *_: handed.append(load) or SimpleNamespace(serve=len))
    monkeypatch.setattr("sys.stdin", [])
    worker.main()
    return handed[0]


@pytest.mark.parametrize("loader", [of_the_worker, lambda _: pair_loader(1), lambda _: output.load],
                         ids=["worker", "sweep", "command line"])  # fmt: skip
def test_every_way_in_loads_a_pair_as_its_run_says(monkeypatch, loader):
    asked = []

    def load(spec, device, dtype, packed, held=None):
        asked.append((spec.source, device, dtype, packed))
        return SimpleNamespace(counter=None)

    monkeypatch.setattr("gsd.decode.runner.load_model", load)
    monkeypatch.setattr(
        "gsd.decode.runner.load_tokenizer", lambda spec: SimpleNamespace(added_tokens_decoder={}, all_special_ids=[])
    )
    monkeypatch.setattr("gsd.decode.runner.check_pair", lambda *_: None)
    loader(monkeypatch)(run_spec(device="cpu", dtype="bfloat16", packed=False))
    assert asked == [("made/up-draft", "cpu", "bfloat16", False), ("made/up-target", "cpu", "bfloat16", False)]


@pytest.mark.parametrize("place", ["cpu", "disk"])
def test_a_model_that_the_gpus_do_not_hold_is_refused(two_gpus, monkeypatch, place):
    """No CUDA device here: the weights come to the CPU, with the map that a machine with two would give."""
    asked = {}

    def placed(*_, **options):
        asked.update(options)
        model = LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS))
        model.hf_device_map = {"model.layers.0": 0, "model.layers.1": 1, "lm_head": place}
        return model, {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}

    monkeypatch.setattr("gsd.models.loading.AutoModelForCausalLM.from_pretrained", placed)
    with pytest.raises(ModelError, match=rf"does not fit the GPUs.*on {place} and"):
        load_model(ModelSpec(source=str(BUNDLED / "draft")))
    assert (asked["device_map"], asked["dtype"]) == ("auto", torch.float16)


def test_every_device_that_holds_a_part_is_described():
    model = HFModel(LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS)), ModelSpec(source="random"))
    assert model.describe()["device"] == "cpu"
    model.devices = [torch.device("cuda:0"), torch.device("cuda:1")]
    assert model.describe()["device"] == "cuda:0, cuda:1"


def test_a_hub_model_of_which_only_the_configuration_is_cached_is_not_here(monkeypatch, tmp_path):
    """As after a look at the configuration, or a download that was broken off."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.delenv("GSD_MODELS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: str(tmp_path / "config.json"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--someone--some-model").mkdir()
    spec = ModelSpec(source="someone/some-model")
    assert located(spec) is None
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    )
    (tmp_path / "one.safetensors").write_text("")
    assert located(spec) is None
    (tmp_path / "two.safetensors").write_text("")
    assert located(spec) == tmp_path


def test_keeping_and_clearing_reach_layers_of_every_shape():
    """As of a target divided between devices: what is alike lies in one buffer, and there are several."""
    cpu = torch.device("cpu")
    cache = KVCache([LayerShape(1, 2, torch.float32, cpu), LayerShape(2, 4, torch.float32, cpu)])
    cache.reset(6)
    for layer in cache.layers:
        layer.keys[:, :, :6] = torch.arange(6.0)[:, None]
        layer.values[:, :, :6] = torch.arange(10.0, 16.0)[:, None]
    cache.advance(6)
    cache.keep(2, [1, 3])
    for layer in cache.layers:
        for held, expected in ((layer.keys, [0.0, 1.0, 3.0, 5.0]), (layer.values, [10.0, 11.0, 13.0, 15.0])):
            assert (held[:, :, : cache.length] == torch.tensor(expected)[:, None]).all()
    cache.clear()
    assert all((part == 0).all() for layer in cache.layers for part in (layer.keys, layer.values))


def test_a_cache_that_did_not_fit_is_allocated_anew(monkeypatch):
    cache = KVCache([LayerShape(1, 2, torch.float32, torch.device("cpu"))])
    cache.reset(4)
    allocate = KVCache._allocate

    def full(self, capacity):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(KVCache, "_allocate", full)
    with pytest.raises(torch.OutOfMemoryError):
        cache.reset(8)
    monkeypatch.setattr(KVCache, "_allocate", allocate)
    cache.reset(3)
    assert cache.layers[0].keys.shape == (1, 1, 3 + 1, 2)  # and the spare slot
