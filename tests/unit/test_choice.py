"""How weights are held is chosen by (faked) measurements; those are kept, and broken ones are not believed."""

import json

import pytest
import torch
from settings import of_method
from torch import nn

from cli.output import _chosen
from gsd.config import RunSpec
from gsd.decode.recorded import as_settled
from gsd.decode.runner import Runner
from gsd.models import choice, settling, weighing
from gsd.models.choice import Held, Key, Shape, Table
from gsd.models.loading import load_model
from gsd.models.pairs import PAIRS
from gsd.spec import ModelSpec, Prompt, SamplingSpec
from tests.models import decode, tokens_of

SHAPE = Shape(inputs=896, outputs=4864)
# Milliseconds for 1, 4 and 16 rows. A CPU with AVX2 alone: forwards of the 0.5B draft, one thread, to a scale.
AVX2 = {"float32 unpacked": (1.82, 5.99, 8.5), "float32 packed": (2.14, 2.80, 5.2),
        "bfloat16 unpacked": (2.2, 7.47, 29.0), "int8": (1.59, 2.9, 12.0),
        "int4": (1.48, 2.94, 12.1), "float16 unpacked": (2.3, 7.5, 30.0)}  # fmt: skip
AMX = {"float32 unpacked": (0.93, 1.75, 2.26), "float32 packed": (1.05, 1.07, 1.65),
       "bfloat16 unpacked": (0.79, 0.92, 0.89), "bfloat16 packed": (0.51, 0.515, 0.52),
       "int8": (0.40, 0.59, 2.05), "int4": (0.31, 0.50, 1.77),
       "float16 unpacked": (0.93, 1.19, 1.93)}  # fmt: skip
WIDE = settling.LARGE // 64  # outputs that make `Body` a large model
SLOW_BITS = AMX | {"int8": (2.0, 8.0, 30.0), "int4": (2.0, 8.0, 30.0)}


def table(times, shape=SHAPE):
    key = Key(processor="made up", instructions=("AVX2",), torch="2", threads=1, shape=shape)
    return Table(key=key, milliseconds={way: dict(zip(choice.ROWS, row)) for way, row in times.items()})


def test_a_cpu_without_bf16_computes_in_float32_and_one_with_it_in_bfloat16():
    assert choice.best_dtype(table(AVX2), packed=True) == "float32"
    assert choice.best_dtype(table(AMX), packed=True) == "bfloat16"


def test_a_tie_goes_to_the_exact_format():
    even = AMX | {"bfloat16 packed": (1.0, 1.0, 1.55)}  # 6 % faster
    assert choice.best_dtype(table(even), packed=True) == "float32"


def test_a_draft_is_held_in_few_bits_where_they_gain_for_one_to_four_rows():
    assert choice.best_quantization(table(AMX), "bfloat16", packed=True) == "int4"
    assert choice.best_quantization(table(AVX2), "float32", packed=True) == "int4"
    assert choice.best_quantization(table(SLOW_BITS), "bfloat16", packed=True) == "none"


def test_beside_few_bits_whole_weights_are_of_the_faster_format_and_used_from_where_they_are_faster():
    """On the AVX2 machine bfloat16 made every forward of more than four rows four times as slow."""
    assert choice.held(table(AVX2), "int4", packed=True) == Held("float32", 3)
    assert choice.held(table(AMX), "int4", packed=True) == Held("bfloat16", 4)
    assert choice.held(table(SLOW_BITS), "int4", packed=True) == Held("bfloat16", 1)  # or it would not be int4


def test_what_was_asked_for_and_is_slow_is_told_in_one_line_with_the_faster_one():
    said = choice.slow_dtype(table(AVX2), "bfloat16", packed=True)
    assert all(word in said for word in ("dtype bfloat16", "5.0 times", "float32", "AVX2")) and "\n" not in said
    assert choice.slow_dtype(table(AVX2), "float32", packed=True) is None
    assert choice.slow_dtype(table(AVX2), "float16", packed=True) is not None
    said = choice.slow_quantization(table(SLOW_BITS), "int8", "bfloat16", packed=True)
    assert "int8" in said and "none" in said
    assert choice.slow_quantization(table(AMX), "int8", "bfloat16", packed=True) is None  # a fifth slower than int4
    assert "packed" in choice.slow_rows(table(AMX), "bfloat16")


def test_between_measured_rows_there_is_a_straight_line_and_beyond_them_the_nearest():
    one = table(AVX2)
    assert one.at("int8", 10) == pytest.approx((2.9 + 12.0) / 2)
    assert one.at("int8", 40) == 12.0 and one.at("int8", 0.5) == 1.59


NONSENSE = [
    {"int4": (1.0, 2.0)},
    {"int4": (0.0, 1.0, 2.0)},
    {"int4": (float("nan"), 1.0, 2.0)},
    {"float32 unpacked": None},
]


@pytest.mark.parametrize("broken", NONSENSE)
def test_a_table_of_nonsense_is_none(broken):
    times = {way: row for way, row in (AVX2 | broken).items() if row}
    with pytest.raises(ValueError):
        table(times)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and a machine that nobody else uses."""
    monkeypatch.setenv(weighing.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(weighing, "crowd", lambda threads: None)
    return tmp_path / "cache"


class Measuring:
    """Gives a made-up table, and counts."""

    def __init__(self, times=AVX2):
        self.calls, self.times = 0, table(times).milliseconds

    def __call__(self, shape):
        self.calls += 1
        return self.times


def test_a_shape_is_measured_once_and_another_machine_or_shape_anew(cache, monkeypatch):
    measure = Measuring()
    first = weighing.table_of(SHAPE, measure)
    assert weighing.table_of(SHAPE, measure) == first and measure.calls == 1
    assert weighing.tables_here() == [first]
    weighing.table_of(Shape(inputs=64, outputs=64), measure)
    assert measure.calls == 2
    for name, other in (("processor", lambda: "another"), ("instruction_sets", lambda: ("another",))):
        with monkeypatch.context() as there:
            there.setattr(weighing, name, other)
            weighing.table_of(SHAPE, measure)
    assert measure.calls == 4 and len(weighing.tables_here()) == 2
    monkeypatch.setattr(torch, "__version__", "9")
    weighing.table_of(SHAPE, measure)
    assert measure.calls == 5


def test_the_cache_is_where_the_user_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.delenv(weighing.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weighing.cache_folder() == tmp_path / "gsd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weighing.cache_folder() == tmp_path / ".cache" / "gsd"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', "\x00\xff", "another machine's"])
def test_a_broken_or_foreign_file_is_told_and_measured_anew(cache, capsys, content):
    measure = Measuring()
    weighing.table_of(SHAPE, measure)
    [file] = cache.iterdir()
    foreign = json.loads(file.read_text())
    foreign["key"]["processor"] = "another"
    file.write_text(json.dumps(foreign) if content.startswith("another") else content)
    assert weighing.table_of(SHAPE, measure).milliseconds == measure.times and measure.calls == 2
    said = capsys.readouterr().err
    assert content.startswith("another") or (str(file) in said and said.count("\n") == 1)
    assert weighing.table_of(SHAPE, measure) and measure.calls == 2, "the file was written anew"


def test_a_folder_that_cannot_be_written_is_told(cache, capsys):
    cache.write_text("a file")
    assert weighing.table_of(SHAPE, Measuring()).key.shape == SHAPE
    assert weighing.CACHE_VARIABLE in capsys.readouterr().err


def test_what_was_measured_beside_other_processes_is_of_one_thread_and_not_kept(cache, monkeypatch):
    """Threads that wait for one another would measure the others: 150 ms were seen for a product of 1 ms."""
    monkeypatch.setattr(weighing, "crowd", lambda threads: "other processes")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: threads.append(count))
    threads, seen = [2], []
    measure = Measuring()
    for _ in range(2):
        found = weighing.table_of(SHAPE, lambda shape: seen.append(threads[-1]) or measure(shape))
        assert found.key.threads == 1
    assert measure.calls == 2 and not cache.exists()
    assert seen == [1, 1] and threads[-1] == 2


def test_what_others_disturb_meanwhile_is_not_kept_either(cache, monkeypatch):
    told = iter([None, "other processes"])
    monkeypatch.setattr(weighing, "crowd", lambda threads: next(told))
    weighing.table_of(SHAPE, Measuring())
    assert not cache.exists()


def test_a_real_measurement_has_every_way_and_row():
    """Of a small layer; how long it takes is no matter of a test."""
    found = weighing.measured(Shape(inputs=64, outputs=48))
    made = Table(key=weighing.key_of(SHAPE), milliseconds=found)
    assert {"float32 unpacked", "bfloat16 unpacked", "int8", "int4"} <= made.milliseconds.keys()
    large = weighing.measured(Shape(inputs=1024, outputs=2 * weighing.LARGEST // 1024))  # half of it is measured
    assert large.keys() == found.keys()


class Body(nn.Module):
    """Layers of two shapes and a head of a third."""

    def __init__(self, wide):
        super().__init__()
        self.small, self.large = nn.Linear(64, 64, device="meta"), nn.Linear(64, wide, device="meta")
        self.head = nn.Linear(64, 3 * wide, device="meta")

    def get_output_embeddings(self):
        return self.head


@pytest.fixture
def measured(monkeypatch):
    """Models of any size by name, on a CPU that is measured as the test says; the shapes asked for."""
    asked = []

    def fake(times):
        monkeypatch.setattr(settling, "skeleton", lambda spec: Body(64 if "tiny" in spec.source else WIDE))
        monkeypatch.setattr(settling, "table_of", lambda shape: asked.append(shape) or table(times, shape))
        return asked

    return fake


def settle(target="big", draft="big", kind="auto", dtype="auto", device="cpu", packed=True):
    spec = draft and ModelSpec(source=draft, quantization=kind)
    return settling.settle(ModelSpec(source=target), spec, device=device, dtype=dtype, packed=packed)


def test_auto_of_a_large_pair_is_what_its_own_layers_say(measured):
    asked = measured(AVX2)
    found = settle()
    assert set(asked) == {Shape(inputs=64, outputs=WIDE)}  # the layer that holds most, the head not counted
    assert (found.dtype, found.draft.quantization, found.notes) == ("float32", "int4", ())
    assert found.held == Held("float32", 3)
    measured(AMX)
    assert (settle().dtype, settle().draft.quantization) == ("bfloat16", "int4")
    measured(SLOW_BITS)
    assert settle().draft.quantization == "none"


def test_a_small_model_and_a_gpu_are_not_measured(measured):
    asked = measured(AMX)
    found = settle("tiny", "tiny")
    assert (found.dtype, found.draft.quantization, found.notes, asked) == ("auto", "none", (), [])
    found = settle(device="cuda:0")
    assert (found.dtype, found.draft.quantization, asked) == ("auto", "none", [])


def test_what_is_asked_for_by_name_is_done_and_told_where_it_is_slow(measured):
    measured(AVX2)
    found = settle(dtype="bfloat16", kind="int8")
    assert (found.dtype, found.draft.quantization) == ("bfloat16", "int8")
    [note] = found.notes
    assert "bfloat16" in note and "float32" in note
    assert settle(dtype="float32", kind="none").notes == ()
    measured(AMX)
    assert len(settle(packed=False, kind="none", dtype="bfloat16").notes) == 2  # rows, and a whole draft


def test_the_bundled_pair_stays_float32_and_whole():
    tiny = PAIRS["tiny"]
    auto = tiny.draft.model_copy(update={"quantization": "auto"})
    found = settling.settle(tiny.target, auto, device="cpu", dtype="auto", packed=True)
    assert (found.dtype, found.draft, found.notes) == ("auto", tiny.draft, ())


def test_a_recording_says_what_auto_came_to_and_its_digest_is_of_that(tiny):
    """Where it was measured; where it is a rule of the device, auto stays, as does the digest."""
    spec = RunSpec(target=PAIRS["tiny"].target, draft=PAIRS["tiny"].draft, prompt=Prompt(prompt="x"))
    asked = spec.model_copy(update={"draft": spec.draft.model_copy(update={"quantization": "auto"})})
    meta = tiny.meta(asked)
    assert meta["spec"]["draft"]["quantization"] == "none" and meta["spec"]["dtype"] == "float32"
    rule = Runner(tiny.target, tiny.draft, tiny.tokenizer).meta(asked)
    assert rule["spec"]["dtype"] == "auto"
    assert (rule["digest"], rule["asked_digest"]) == (spec.digest(), asked.digest()) and spec.digest() != asked.digest()
    measured = Runner(tiny.target, tiny.draft, tiny.tokenizer, settling.Settled(dtype="bfloat16", notes=("slow",)))
    by_name = spec.model_copy(update={"dtype": "bfloat16"})
    assert measured.meta(asked)["digest"] == by_name.digest() and measured.meta(asked)["notes"][0] == "slow"
    assert measured.as_decoded(by_name) == by_name


def test_an_older_recording_that_says_auto_is_decoded_again_in_what_it_was_decoded_in():
    """Then a CPU's auto was float32; now it would be measured for a large target."""
    spec = {"dtype": "auto", "seed": 1}
    large = {"device": "cpu", "dtype": "float32", "parameters": settling.LARGE}
    assert as_settled({"spec": spec, "target": large}) == spec | {"dtype": "float32"}
    for other in ({"parameters": 1000}, {"device": "cuda:0"}):
        assert as_settled({"spec": spec, "target": large | other}) == spec
    assert as_settled({"spec": spec | {"dtype": "bfloat16"}, "target": large})["dtype"] == "bfloat16"
    assert as_settled({"spec": None, "target": large}) is None


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_few_bits_beside_whole_float32_weights_decode_the_target_s_text(tiny, kind):
    spec = PAIRS["tiny"].draft.model_copy(update={"quantization": kind})
    draft = load_model(spec, "cpu", "float32", packed=True, held=Held("float32", 2))
    assert draft.describe()["dtype"] == "float32" and draft.describe()["quantization"] == kind
    prompt = tiny.tokenizer.encode("def count_items(items):\n")
    texts = [tokens_of(decode(tiny.target, model, prompt, of_method(), SamplingSpec(), 24, detail=False))
             for model in (draft, tiny.draft)]  # fmt: skip
    assert texts[0] == texts[1]
    layer = draft.decoder.layers[0].down
    x = torch.randn(3, layer.whole.in_features)
    assert torch.equal(layer(x), layer.whole(x)) and torch.equal(layer(x[:2]), layer.few(x[:2]))


@pytest.mark.parametrize("inputs", [1000, 1008, 900])
def test_a_layer_that_no_kernel_of_few_bits_takes_is_measured_whole(inputs):
    """1,008 inputs are for int8, the others for neither; what is named all the same is loaded as it can be."""
    found = weighing.measured(Shape(inputs=inputs, outputs=48))
    made = Table(key=weighing.key_of(SHAPE), milliseconds=found)
    assert made.kinds == ["none", *["int8"] * (inputs == 1008)]
    assert choice.best_quantization(made, "float32", True) in made.kinds
    assert choice.held(made, "int4", True) == Held() and choice.slow_quantization(made, "int4", "float32", True) is None
    assert choice.in_words(made)


def test_the_command_line_says_what_auto_came_to_where_that_was_measured():
    def spec(dtype, kind):
        draft = ModelSpec(source="d", quantization=kind)
        return RunSpec(target=ModelSpec(source="t"), draft=draft, prompt=Prompt(prompt="x"), dtype=dtype)

    both = _chosen(spec("auto", "auto"), spec("bfloat16", "int4"))
    assert both == "--dtype auto is bfloat16 and --draft-quant auto is int4, by what is fast on this CPU"
    assert "draft" not in _chosen(spec("auto", "int8"), spec("float32", "int8"))
    assert "dtype" not in _chosen(spec("float32", "auto"), spec("float32", "int4"))
    assert _chosen(spec("auto", "auto"), spec("auto", "none")) is None  # a rule of the device
