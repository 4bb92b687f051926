"""Prompt files: what is read, and what is said of lines that are no prompt."""

import pytest

from gsd.decode.prompts import read_prompts
from gsd.errors import PromptError


def test_reads_ids_kinds_and_chat_and_numbers_the_nameless(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"id": "a", "prompt": "one", "kind": "code", "chat": false}\n\n{"prompt": "two"}\n')
    first, second = read_prompts(path).prompts
    assert (first.id, first.prompt, first.kind, first.chat) == ("a", "one", "code", False)
    assert (second.id, second.chat) == ("line-3", None)


@pytest.mark.parametrize(
    "line", ["{", "[1]", '{"text": "no prompt"}', '{"prompt": ""}', '{"prompt": "x", "id": [1]}', '{"prompt": null}']
)
def test_a_broken_line_is_named_by_number_and_the_rest_is_kept(tmp_path, line):
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{{"prompt": "good"}}\n{line}\n{{"prompt": "also good"}}\n')
    file = read_prompts(path)
    assert [prompt.prompt for prompt in file.prompts] == ["good", "also good"]
    assert [broken.line for broken in file.broken] == [2]


def test_an_id_that_is_taken_is_a_broken_line_that_names_the_other(tmp_path):
    """What is measured is told by prompt: under one id two prompts would hide one another."""
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "one", "id": "a"}\n\n{"prompt": "two", "id": "a"}\n{"prompt": "three"}\n')
    file = read_prompts(path)
    assert ([prompt.prompt for prompt in file.prompts], file.lines) == (["one", "three"], [1, 4])
    [broken] = file.broken
    assert broken.line == 3 and "'a' is that of line 1" in broken.error


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{\n", b"\xff\xfe"])
def test_a_file_without_a_prompt_is_refused(tmp_path, content):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(content)
    with pytest.raises(PromptError, match=r"prompts\.jsonl"):
        read_prompts(path)


def test_lines_end_at_line_feeds_only_and_a_byte_order_mark_is_no_part_of_them(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes('\ufeff{"prompt": "a\u2028b"}\r\n'.encode())
    file = read_prompts(path)
    assert [prompt.prompt for prompt in file.prompts] == ["a\u2028b"]
    assert file.broken == []


@pytest.mark.parametrize("line", [b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}', b"[" * 100_000])
def test_bytes_that_are_no_text_cost_one_line_only(tmp_path, line):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(line + b'\n{"prompt": "good"}\n')
    file = read_prompts(path)
    assert (file.lines, [broken.line for broken in file.broken]) == ([2], [1])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PromptError, match="nowhere"):
        read_prompts(tmp_path / "nowhere.jsonl")


def test_other_keys_are_passed_over_and_a_number_is_a_name_as_any(tmp_path):
    """As HumanEval and its like are published."""
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"task_id": "HumanEval/0", "prompt": "one", "test": {"a": [1]}}\n'
                    '{"id": 0, "prompt": "two", "kind": 3}\n'
                    '{"id": null, "kind": null, "chat": null, "prompt": "three"}\n'
                    '{"id": "0", "prompt": "four"}\n')  # fmt: skip
    file = read_prompts(path)
    assert [(one.id, one.kind) for one in file.prompts] == [("line-1", None), ("0", "3"), ("line-3", None)]
    assert [(broken.line, "'0' is that of line 2" in broken.error) for broken in file.broken] == [(4, True)]


@pytest.mark.parametrize(("line", "told"), [
    ('{"question_id": 81, "turns": ["%s"]}' % ("word " * 400), "no key 'prompt'"),
    ('{"question": "How many?", "answer": "3"}', "'question', 'answer'"),
    ('{}', "no key 'prompt'"),
    ('{"%s": 1}' % ("k" * 500), "no key 'prompt'"),
    ('{"prompt": 3}', "key 'prompt' 3"),
    ('{"prompt": ["%s"]}' % ("word " * 400), "key 'prompt' ['word"),
    ('{"prompt": null}', "key 'prompt' None"),
    ('{"prompt": "x", "id": true}', "key 'id' True"),
    ('{"prompt": "x", "id": [1]}', "key 'id' [1]"),
    ('{"prompt": "x", "id": ""}', "key 'id' ''"),
    ('{"prompt": "x", "chat": "perhaps"}', "key 'chat' 'perhaps'"),
])  # fmt: skip
def test_an_error_names_line_and_key_in_a_short_line_and_no_option(tmp_path, line, told):
    path = tmp_path / "p.jsonl"
    path.write_text(line)
    with pytest.raises(PromptError, match=r"p\.jsonl holds no prompt \(line 1: ") as refused:
        read_prompts(path)
    words = str(refused.value).replace(str(path), "")
    assert told in words and "--" not in words and len(words) < 250
