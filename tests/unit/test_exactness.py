"""Trees are proven exact for an architecture when it is loaded, or it is refused with the reason."""

import pytest
import torch
from settings import of_method
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BertConfig,
    BlenderbotConfig,
    CodeGenConfig,
    Gemma2Config,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    LlamaConfig,
    MarianConfig,
    MBartConfig,
    PLBartConfig,
    Qwen2Config,
    WhisperConfig,
    XGLMConfig,
)

from gsd.errors import ModelError
from gsd.models import exactness
from gsd.models.exactness import prove, prove_loaded
from gsd.models.hf import HFModel
from gsd.models.loading import load_model
from gsd.models.miniature import MOST_PARAMETERS, build, miniature
from gsd.spec import ModelSpec, SamplingSpec
from gsd.testing import oracle
from tests.models import CONFIGS, VOCABULARY, adapted, decode, half_agreeing, target_of, tokens_of

NAMED = ModelSpec(source="named")
DECODER = {"vocab_size": 300, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48,
           "max_position_embeddings": 128, "is_decoder": True, "is_encoder_decoder": False, "pad_token_id": 1,
           "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2}  # fmt: skip
OLD = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 128,
       "bos_token_id": None, "eos_token_id": None}  # fmt: skip
IGNORANT = {
    one.__name__: one(**DECODER) for one in (BartConfig, MBartConfig, MarianConfig, PLBartConfig, BlenderbotConfig)
}
EXACT = {
    "codegen": CodeGenConfig(**OLD),
    "gptj": GPTJConfig(**OLD),
    "xglm": XGLMConfig(vocab_size=300, d_model=32, num_layers=2, attention_heads=4, ffn_dim=48),
    "gemma2": Gemma2Config(vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=8,
                           num_attention_heads=4, num_key_value_heads=2, layer_types=["full_attention"] * 2),
    "gpt_neo": GPTNeoConfig(vocab_size=300, hidden_size=32, num_layers=2, num_heads=4,
                            attention_types=[[["global"], 2]], bos_token_id=0, eos_token_id=0),
    **CONFIGS,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_proven(monkeypatch, tmp_path):
    monkeypatch.setattr(exactness, "_proven", set())
    monkeypatch.setenv("GSD_CACHE", str(tmp_path / "cache"))


def saved(config, tmp_path):
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    return ModelSpec(source=str(tmp_path / "model"))


@pytest.mark.parametrize("name", IGNORANT)
def test_a_decoder_that_counts_positions_itself_is_refused(name, tmp_path):
    with pytest.raises(ModelError, match="ignores the positions that it is given"):
        load_model(saved(IGNORANT[name], tmp_path), "cpu")


@pytest.mark.parametrize("name", EXACT)
def test_what_goes_by_mask_and_positions_is_proven(name):
    assert prove(EXACT[name], NAMED, native=True).proven


@pytest.mark.parametrize("name", ["codegen", "gptj", "xglm", "gemma2"])
def test_an_architecture_without_fused_attention_emits_the_oracle_tokens(name, tmp_path):
    """They were refused for having no SDPA. On the way from a folder, packed, as people load them."""
    torch.manual_seed(0)
    config = EXACT[name].__class__.from_dict(EXACT[name].to_dict() | {"initializer_range": 0.25})
    spec = saved(config, tmp_path)
    target = load_model(spec, "cpu", "float32", packed=True)
    model = AutoModelForCausalLM.from_pretrained(spec.source, dtype=torch.float32, attn_implementation="eager").eval()
    draft = HFModel(half_agreeing(model), spec)
    accepted = 0
    for drafting in (
        of_method(width=4, depth=5, merge_context=0, prob_threshold=0.0),
        of_method(method="auto"),
    ):
        rounds = decode(target, draft, [15, 39, 12, 31, 17], drafting)
        assert tokens_of(rounds) == oracle.generate(model, [15, 39, 12, 31, 17], 24, SamplingSpec())
        accepted += sum(len(round_.accepted) for round_ in rounds)
    assert accepted > 0


def test_a_window_of_slots_is_refused_however_long_it_is():
    """GPT-Neo's local layers look back 256 slots: a short text would not show it."""
    windowed = GPTNeoConfig(vocab_size=300, hidden_size=32, num_layers=2, num_heads=4, window_size=256,
                            attention_types=[[["global", "local"], 1]], bos_token_id=0, eos_token_id=0)  # fmt: skip
    with pytest.raises(ModelError, match=r"gpt_neo cannot verify a tree.*window"):
        prove(windowed, NAMED, native=True)


def test_a_model_that_sees_what_comes_is_refused():
    config = BertConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )
    with pytest.raises(ModelError, match="depend on the tokens behind it"):
        prove(config, NAMED, native=True)


def test_whisper_s_decoder_is_refused_in_one_line(tmp_path):
    config = WhisperConfig(vocab_size=300, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48,
                           encoder_layers=1, encoder_attention_heads=4, is_encoder_decoder=False, pad_token_id=1,
                           bos_token_id=1, eos_token_id=1, decoder_start_token_id=2, suppress_tokens=None,
                           begin_suppress_tokens=None)  # fmt: skip
    spec = saved(config, tmp_path)
    with pytest.raises(ModelError, match=r"WhisperForCausalLM cannot go on .* use a decoder-only text model") as error:
        load_model(spec, "cpu")
    assert "\n" not in str(error.value)


def test_a_table_of_positions_that_ends_too_soon_is_refused():
    model = adapted(target_of("gpt2"))
    model.context_length += 1
    with pytest.raises(ModelError, match="table of positions ends before position 256"):
        prove_loaded(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_loaded_model_can_be_asked_in_any_dtype(name, dtype):
    prove_loaded(HFModel(target_of(name).to(dtype), NAMED))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_model_s_fault_is_seen_in_any_dtype(dtype):
    model = build(miniature(IGNORANT["BartConfig"]), trust=False).to(dtype)
    with pytest.raises(ModelError, match="ignores the positions"):
        prove_loaded(HFModel(model, NAMED))


def test_a_forward_of_ours_that_errs_is_seen(monkeypatch):
    """Not only transformers' code is on trial: here our masks hide nothing."""
    monkeypatch.setattr(HFModel, "_additive", lambda self, mask, count: torch.zeros(1, 1, count, self.length + count))
    with pytest.raises(ModelError, match="llama cannot verify a tree"):
        prove(CONFIGS["llama"], NAMED, native=True)


def test_what_is_proven_once_is_not_asked_again(monkeypatch):
    asked = []
    monkeypatch.setattr(exactness, "fault", lambda model: asked.append(model))
    prove(CONFIGS["llama"], NAMED, native=True)
    prove(CONFIGS["llama"], NAMED, native=True)
    assert len(asked) == 1
    exactness._proven.clear()  # as in another process
    prove(CONFIGS["llama"], NAMED, native=True)
    assert len(asked) == 1
    prove(CONFIGS["llama"], NAMED, native=False)
    prove(CONFIGS["qwen2"], NAMED, native=True)
    assert len(asked) == 3
    monkeypatch.setattr(exactness.transformers, "__version__", "another")
    prove(CONFIGS["llama"], NAMED, native=True)
    assert len(asked) == 4


def test_code_that_comes_with_a_model_is_asked_each_time(monkeypatch):
    asked = []
    monkeypatch.setattr(exactness, "fault", lambda model: asked.append(model))
    for _ in range(2):
        prove(CONFIGS["llama"], ModelSpec(source="named", trust_remote_code=True), native=True)
    assert len(asked) == 2


def test_sizes_of_a_family_share_a_proof(monkeypatch):
    asked = []
    monkeypatch.setattr(exactness, "fault", lambda model: asked.append(model))
    small, large = (Qwen2Config(num_hidden_layers=layers, vocab_size=1000) for layers in (8, 16))
    prove(small, NAMED, native=True)
    prove(large, NAMED, native=True)
    assert len(asked) == 1


def test_a_folder_that_cannot_be_written_costs_the_next_process_time_only(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GSD_CACHE", str(tmp_path / "file"))
    assert prove(CONFIGS["llama"], NAMED, native=True).proven


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
                    num_key_value_heads=8, vocab_size=128256),
        GPT2Config(n_embd=1600, n_layer=48, n_head=25),
    ],
    ids=["llama 70b", "gpt2-xl"],
)  # fmt: skip
def test_a_large_configuration_has_a_small_miniature(config):
    small = miniature(config)
    assert sum(weight.numel() for weight in build(small, trust=False).parameters()) < MOST_PARAMETERS
    of = lambda one: one.hidden_size // one.num_attention_heads  # noqa: E731
    assert of(small) == of(config)
    assert VOCABULARY < config.vocab_size != small.vocab_size
