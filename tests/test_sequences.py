"""What ``minifold sample`` takes as sequences, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from minifold_core.cli.sequences import read_targets
from minifold_core.errors import RequestError

SEQUENCE = "MQIFVKTLTGKTITLEVEPSD"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no sequence"),
        (f"{SEQUENCE}\n", "needs a line '>NAME' before it"),
        (f">a\n>b\n{SEQUENCE}\n", "x.fasta, a: the sequence is empty"),
        (f">a\n{SEQUENCE}*\n", r"x.fasta, a: '\*' at position 22 is a stop codon"),
        (">a x\nMQ-F\n", "x.fasta, a: '-' at position 3 is a gap"),
        (">a\nMQ1\n", "x.fasta, a: '1' at position 3 is no one-letter residue code"),
        (f">a\n{SEQUENCE}\n>b\nMQ\n", r"--fasta, b: 2 residues; a structure needs at least 3"),
        (">a\nMQ\n>a b\nMQI\n", "2 sequences are called 'a'"),
    ],
)
def test_a_fasta_file_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.fasta").write_text(text)
    with pytest.raises(RequestError, match=said):
        read_targets(None, tmp_path / "x.fasta", None, "validation", None)


def test_sequences_lose_case_and_white_space(tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_bytes(b">a b c\r\nmq if\r\n\tV k\r\n\r\n>\r\nMQX\r\n")
    (a, nameless) = read_targets(None, tmp_path / "x.fasta", None, "validation", None)
    assert (a.name, a.sequence) == ("a", "MQIFVK")
    assert (nameless.name, nameless.sequence) == ("sequence", "MQX")
