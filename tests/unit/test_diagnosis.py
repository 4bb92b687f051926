"""What a foreign library says of unusable files is told of the files, with the way out, in one line."""

import json
import shutil
import struct

import gguf
import numpy as np
import pytest
from transformers import LlamaConfig, LlamaForCausalLM, ViTConfig, ViTForImageClassification

from gsd.errors import ModelError
from gsd.models import diagnosis
from gsd.models.gguf_header import NotWhole, gguf_facts
from gsd.models.loading import load_model, load_tokenizer
from gsd.models.places import BUNDLED
from gsd.spec import ModelSpec

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 988097824\n"
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A whole model with its tokenizer."""
    made = tmp_path / "model"
    shutil.copytree(BUNDLED / "draft", made)
    return made


def cut(name, share):
    def change(folder):
        file = folder / name
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return change


def written(name, text):
    return lambda folder: (folder / name).write_text(text)


def removed(pattern):
    return lambda folder: [file.unlink() for file in folder.glob(pattern)]


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def scaled(folder):
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters", None)
    (folder / "config.json").write_text(json.dumps(config | {"rope_scaling": {"type": "su", "factor": 2.0}}))


WEIGHTS = {
    "pointer": (written("model.safetensors", POINTER), r"model\.safetensors is a Git-LFS pointer.*git lfs pull"),
    "pointer for settings": (written("config.json", POINTER), r"config\.json is a Git-LFS pointer"),
    "half": (cut("model.safetensors", 0.5), r"model\.safetensors is incomplete \([\d,]+ of [\d,]+ bytes\): download"),
    "cut in its header": (cut("model.safetensors", 0.0001), r"model\.safetensors is incomplete.*: download it again"),
    "empty": (cut("model.safetensors", 0), r"model\.safetensors is incomplete, or no safetensors.*download"),
    "a page of the web": (
        written("model.safetensors", "<html>not found</html>" * 9),
        r"no safetensors file .*download",
    ),
    "half of the settings": (cut("config.json", 0.5), r"config\.json is no whole JSON .*download"),
    "no weights": (removed("*.safetensors"), r"no safetensors weights \(download"),
    "pickled weights": (pickled, r"no safetensors weights \(pickled ones can run code; convert"),
    "unknown rotation": (scaled, r"rope type 'su', which transformers [\d.]+ does not know \(.*yarn.*\)"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_cannot_be_read_are_told_of(name, folder):
    change, said = WEIGHTS[name]
    change(folder)
    with pytest.raises(ModelError, match=said) as error:
        load_model(ModelSpec(source=str(folder)), "cpu")
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


TOKENIZERS = {
    "pointer": (written("tokenizer.json", POINTER), r"tokenizer\.json is a Git-LFS pointer"),
    "half": (cut("tokenizer.json", 0.5), r"tokenizer\.json is no whole JSON.*download it again"),
    "none": (removed("tokenizer*"), r"no tokenizer \(tokenizer\.json is missing\): copy"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_that_cannot_be_read_is_told_of(name, folder):
    change, said = TOKENIZERS[name]
    change(folder)
    with pytest.raises(ModelError, match=said) as error:
        load_tokenizer(ModelSpec(source=str(folder)))
    assert "\n" not in str(error.value)


def test_what_is_not_read_to_load_a_model_is_no_reason(folder):
    (folder / "consolidated.safetensors").write_text(POINTER)
    (folder / "trainer_state.json").write_text("{")
    (folder / "config.json").write_text('{"model_type": "no-such-type"}')
    with pytest.raises(ModelError, match="no-such-type") as error:
        load_model(ModelSpec(source=str(folder)), "cpu")
    assert "pointer" not in str(error.value)


def test_a_model_of_pictures_is_refused_in_one_line(tmp_path):
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32)
    ViTForImageClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no causal language model \(vit\)") as error:
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    assert "\n" not in str(error.value)


def test_an_adapter_is_called_one_with_its_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/base-7b", "peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError, match=r"adapter \(LoRA\) for someone/base-7b.*merge"):
            load(ModelSpec(source=str(tmp_path)))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not name"):
        load_model(ModelSpec(source=str(tmp_path)))


def test_a_folder_of_gguf_files_names_them(tmp_path):
    (tmp_path / "model-Q4.GGUF").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"holds GGUF files: name one of them, such as .*model-Q4\.GGUF"):
        load_model(ModelSpec(source=str(tmp_path)))


def test_a_library_s_whole_message_is_told_in_one_line():
    said = diagnosis.explained(ValueError("first\n  second\nthird"), ModelSpec(source="/none"))
    assert said == "first second third"
    assert diagnosis.explained(KeyError("su"), ModelSpec(source="/none")) == "KeyError: 'su'"
    assert diagnosis.explained(RuntimeError(), ModelSpec(source="/none")) == "RuntimeError"
    assert len(diagnosis.explained(ValueError("word " * 999), ModelSpec(source="/none"))) <= diagnosis.LONGEST + 2


def written_gguf(path, *, layers=1, split=None):
    """A Llama as llama.cpp's converter writes it, with the bundled tokenizer's first tokens."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(64)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(64)])
    writer.add_token_types([1] * 64)
    writer.add_token_merges(["t 0"])
    if split:
        writer.add_uint16("split.no", split[0])
        writer.add_uint16("split.count", split[1])
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    names = {
        "token_embd.weight": model.model.embed_tokens, "output_norm.weight": model.model.norm,
        "output.weight": model.lm_head,
    }  # fmt: skip
    layer = model.model.layers[0]
    block = {
        "attn_norm": layer.input_layernorm, "ffn_norm": layer.post_attention_layernorm,
        "attn_q": layer.self_attn.q_proj, "attn_k": layer.self_attn.k_proj, "attn_v": layer.self_attn.v_proj,
        "attn_output": layer.self_attn.o_proj, "ffn_gate": layer.mlp.gate_proj, "ffn_up": layer.mlp.up_proj,
        "ffn_down": layer.mlp.down_proj,
    }  # fmt: skip
    for name, part in names.items():
        writer.add_tensor(name, part.weight.detach().numpy().astype(np.float32))
    for name, part in block.items():
        writer.add_tensor(f"blk.0.{name}.weight", part.weight.detach().numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", ["model.gguf", "MODEL.GGUF"])
def test_a_whole_gguf_file_is_loaded_however_its_name_is_written(name, tmp_path):
    path = written_gguf(tmp_path / name)
    assert load_model(ModelSpec(source=str(path)), "cpu").vocab_size == 64
    facts = gguf_facts(path)
    assert (facts.part, facts.parts) == (1, 1) and facts.length_bytes <= path.stat().st_size < facts.length_bytes + 32


def test_a_gguf_file_that_lacks_layers_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"9 of the weights .* missing .*layers\.1\."):
        load_model(ModelSpec(source=str(written_gguf(tmp_path / "some.gguf", layers=2))), "cpu")


def test_a_part_of_a_split_gguf_is_called_one(tmp_path):
    path = written_gguf(tmp_path / "some-00001-of-00002.gguf", layers=2, split=(0, 2))
    with pytest.raises(ModelError, match=r"is part 1 of 2 of a split GGUF: merge.*llama-gguf-split --merge"):
        load_model(ModelSpec(source=str(path)), "cpu")


def test_a_later_part_of_a_split_gguf_has_no_settings_of_its_own(tmp_path):
    path = tmp_path / "some-00002-of-00002.gguf"
    pairs = [("split.no", 1), ("split.count", 2)]
    written = b"".join(
        struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IH", 2, value) for key, value in pairs
    )
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + written)
    with pytest.raises(ModelError, match="is part 2 of 2 of a split GGUF"):
        load_model(ModelSpec(source=str(path)), "cpu")


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.9, 0.99])
def test_a_gguf_file_that_is_cut_is_called_incomplete(share, tmp_path):
    path = written_gguf(tmp_path / "some.gguf")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ModelError, match=r"some\.gguf is (incomplete|no GGUF).*download") as error:
        load_model(ModelSpec(source=str(path)), "cpu")
    assert "\n" not in str(error.value)


def test_a_pointer_to_a_gguf_file_is_called_one(tmp_path):
    path = tmp_path / "some.gguf"
    path.write_text(POINTER)
    with pytest.raises(ModelError, match=r"some\.gguf is a Git-LFS pointer"):
        load_model(ModelSpec(source=str(path)), "cpu")


def test_a_header_that_is_none_is_not_whole(tmp_path):
    path = tmp_path / "some.gguf"
    for data in (b"", b"GGUF", b"GGML" + bytes(99), b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 1 << 40) + bytes(64)):
        path.write_bytes(data)
        with pytest.raises(NotWhole):
            gguf_facts(path)


def test_offline_the_hub_is_not_asked(monkeypatch):
    asked = []
    monkeypatch.setattr("gsd.models.sources.urlopen", lambda *_, **__: asked.append(1))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError, match=r"nobody/nothing is not on this machine.*offline.*HF_HUB_OFFLINE"):
            load(ModelSpec(source="nobody/nothing"))
    assert not asked


@pytest.mark.parametrize("content", ['{"weight_map": ["a"]}', '{"weight_map": {"a": 1}}', "[" * 5000 + "]" * 5000])
def test_an_index_that_is_none_is_told_in_one_line(tmp_path, content):
    shutil.copy(BUNDLED / "draft" / "config.json", tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError) as caught:
        load_model(ModelSpec(source=str(tmp_path)), "cpu")
    assert "\n" not in str(caught.value)


ODD = {
    "endless": struct.pack("<IIQ", 9, 4, 2**59),
    "alignment 0": struct.pack("<II", 4, 0),
    "text": struct.pack("<IQ", 8, 1) + b"x",
    "nested": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000,
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_a_gguf_header_of_odd_values_is_told_in_one_line(tmp_path, value):
    key = b"general.alignment"
    file = tmp_path / "odd.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", len(key)) + key + value)
    with pytest.raises(ModelError, match=r"odd\.gguf") as caught:
        load_model(ModelSpec(source=str(file)), "cpu")
    assert "\n" not in str(caught.value)
