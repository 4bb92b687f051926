"""Which rounds are worth a jump, on four made here."""

from dataclasses import replace

from fixtures.recorded import round_of

from analysis.rounds import after, landmarks


def made(accepted, drafted, origins, parents):
    """A round whose accepted path is the first nodes of a chain, and what hangs where in its tree."""
    return round_of(accepted=list(range(1, accepted + 1)), drafted_nodes=drafted, origins=origins,
                   tree={"parent": parents})  # fmt: skip


ALL_TAKEN = made(2, 2, ["draft", "merge", "bonus"], [-1, 0, 1])
LEFT = made(1, 3, ["draft", "bonus"], [-1, 0, 1, 1])
NONE = made(0, 9, ["bonus"], [-1, 0])
UNDRAFTED = made(0, 0, ["target"], [-1])
ROUNDS = [LEFT, ALL_TAKEN, UNDRAFTED, NONE]


def test_landmarks():
    found = landmarks(ROUNDS)
    assert found.merges == [1]
    assert found.rejections == [0, 3]  # where children stood, and the target chose another token
    assert found.longest == 1
    assert found.shortest == 3  # nothing accepted, like round 2, but nine nodes drafted


def test_a_path_that_a_stop_rule_cut_rejects_nothing():
    assert not replace(LEFT, bonus=False).rejected
    assert not round_of(accepted=[1], new_tokens=[1, 2]).rejected  # counts alone


def test_a_run_without_rounds_has_no_landmarks():
    assert (landmarks([]).longest, landmarks([]).shortest) == (None, None)


def test_the_next_one_starts_again_from_the_first():
    assert [after([1, 4], index) for index in (0, 1, 2, 4)] == [1, 4, 4, 1]
    assert after([3], 3) is None
    assert after([], 0) is None


def test_a_node_came_with_the_forward_that_expanded_its_parent_and_what_was_found_with_what_it_stands_behind():
    """Forward 1 expanded P and the A that was looked up, 2 the B behind it, 3 the C and the E that was found behind it:

    P 1 ─ A 1 ─ B 2
     └─ C 3 ─ D
         └─ E 3
    """
    graph = {"parent": [-1, 0, 1, 0, 3, 3], "depth": [0, 1, 2, 1, 2, 2],
             "expanded": [True, True, True, True, False, True], "forward": [1, 1, 2, 3, 0, 3],
             "source": ["root", "lookup", "draft", "draft", "draft", "lookup"]}  # fmt: skip
    assert round_of(graph=graph).graph.drafted_in == [0, 0, 1, 1, 3, 1]
    del graph["forward"]  # an older recording, of a method that expands a depth at a time
    assert round_of(graph=graph).graph.drafted_in == [0, 0, 2, 1, 2, 1]
