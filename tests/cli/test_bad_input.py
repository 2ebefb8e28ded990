"""What people hand the command line by mistake: it ends with 0, or with 2 and one line."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.cli import main

VALUES = np.convolve(np.random.default_rng(0).normal(size=42), [1.0, 0.6, 0.3], mode="valid")
DATES = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d").tolist()


def table(**columns: object) -> bytes:
    return pd.DataFrame(columns).to_csv(index=False).encode()


def array(values: object, **more: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values), **more)
    return file.getvalue()


def several() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=VALUES, b=VALUES)
    return file.getvalue()


WHOLE = table(day=DATES, value=VALUES)
#: name of a file -> what is in it
FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "blank.csv": b"\n\n",
    "header.csv": b"day,value\n",
    "text.csv": table(day=DATES[:3], value=["a", "b", "c"]),
    "binary.csv": bytes(range(256)),
    "ragged.csv": b"day,value\n1,2\n3,4,5,6\n",
    "infinite.csv": table(day=DATES[:3], value=[1.0, np.inf, 2.0]),
    "nothing.csv": table(day=DATES[:3], value=[np.nan] * 3),
    "one.csv": table(day=DATES[:1], value=[1.0]),
    "twice.csv": table(day=DATES[:2] * 3, value=np.arange(6.0)),
    "disorder.csv": table(day=DATES[:6][::-1], value=np.arange(6.0)),
    "undated.csv": table(day=[*DATES[:4], None, "soon"], value=np.arange(6.0)),
    "later.csv": table(day=[None, *DATES[1:6]], value=np.arange(6.0)),
    "flags.csv": table(day=DATES[:4], value=[True, False, True, True]),
    "huge.csv": table(day=DATES[:4], value=[1e300, -1e300, 1e308, 1.0]),
    "large.csv": b"day,value\n2020-01-01,1" + b"0" * 400 + b"\n2020-01-02,1\n",
    "torn.csv.gz": gzip.compress(WHOLE)[:-20],
    "plain.csv.gz": WHOLE,
    "empty.npy": b"",
    "torn.npy": array(VALUES)[:-9],
    "words.npy": array(["a", "b"]),
    "objects.npy": array(np.array([1, "a"], dtype=object), allow_pickle=True),
    "axes.npy": array(np.zeros((2, 2, 2, 2))),
    "complex.npy": array(np.ones(5, complex)),
    "none.npy": array(np.zeros(0)),
    "zip.npy": b"PK\x03\x04 and no more",
    "several.npy": several(),
    "empty.txt": b"",
    "binary.txt": bytes(range(256)),
    "odd.arproc": b"no model at all",
}
#: Commands that read a file, "?" being its name.
READING = {
    "fit": "fit ar ? --order 1 -o new.arproc",
    "fit, by columns": "fit ar ? --order 1 -c value -i day -o new.arproc",
    "fit var": "fit var ? --order 1 -o new.arproc",
    "fit ngram": "fit ngram ? --order 2 --tokens char --smoothing witten_bell -o new.arproc",
    "score": "score ar.arproc ? -c value -i day",
    "score, each": "score ar.arproc ? --each",
    "score, terms": "score ar.arproc ? -c value --terms",
    "score by lines": "score text.arproc ? --lines",
    "score a text": "score text.arproc ?",
    "forecast": "forecast ar.arproc ? --horizon 2 -c value -i day",
    "compare": "compare ? ar.arproc flat.arproc -c value",
    "report": "report ? ar.arproc -c value -o new.html",
    "model": "score ? whole.csv",
    "convert": "convert ? new.arpa",
}
#: Options with a wrong value.
OPTIONS = [
    *[f"forecast ar.arproc whole.csv --horizon {value}" for value in ("0", "-1", "x", "1.5")],
    *[f"forecast ar.arproc whole.csv --horizon 1 -q {value}" for value in ("2", "nan", "0")],
    *[f"sample ar.arproc --length 2 {option}" for option in (
        "-n -1", "--seed -1", "--seed x", "--prefix a", "--prefix nan", "--prefix 1,", "--top-k 1",
        "--temperature 0", "--offset 99999999999999999999",
    )],
    *[f"sample text.arproc --length 2 {option}" for option in (
        "--top-k 0", "--top-p 2", "--top-p nan", "--temperature nan", "--temperature -1",
        "--prefix \u20ac", "--length -3", "--top-k -5",
    )],
    "sample ar.arproc", "sample no.arproc", "sample .", "score ar.arproc .", "score ar.arproc",
    *[f"score ar.arproc whole.csv {option}" for option in (
        "--given -1", "--given 1000", "--given x", "-c none", "-i none", "--lines",
        "--each --out .", "--terms --out no/such/folder.csv", "-c value -c value",
    )],
    "compare whole.csv ar.arproc", "compare whole.csv ar.arproc text.arproc",
    "compare whole.csv ar.arproc flat.arproc --given -2",
    "report whole.csv ar.arproc", "report whole.csv -o new.html",
    "report whole.csv ar.arproc -o no/such.html", "report whole.csv ar.arproc ar.arproc -o a.html",
    *[f"report whole.csv ar.arproc -o new.html {option}" for option in (
        "--shape 2", "--shape x", "--synthetic whole.csv", "--samples 0", "--length 0",
        "--train whole.csv", "--train no.csv", "--seed x",
    )],
    *[f"fit {rest} -o new.arproc" for rest in (
        "ar whole.csv", "ar whole.csv --order x", "ar whole.csv --order -1",
        "ar whole.csv --order",
        "ar whole.csv --order 1 --trend 5", "ar whole.csv --order 1 extra", "nothing whole.csv",
        "made whole.csv --hidden x", "made whole.csv --hidden 3 --steps -1", "model whole.csv",
        "ngram whole.csv --order 0", "ar whole.csv --order 99999999999999999999",
        "ar whole.csv --order 1 --fourier 12", "transformer whole.csv --layers none",
        "panel whole.csv", "mixture whole.csv --processes 1", "ar no.csv --order 1",
    )],
    "fit ar whole.csv --order 1 -o .", "warm-up Nothing", "convert ar.arproc new.arpa",
    "demo --out whole.csv", "nonsense", "--nonsense",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files, and models to score them with."""
    made = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    (made / "whole.csv").write_bytes(WHOLE)
    dated = pd.Series(VALUES, pd.DatetimeIndex(DATES, freq="D"), name="value")
    arproc.AR(1, trend="ct").fit(dated).save(made / "ar.arproc")
    arproc.AR(0).fit(dated).save(made / "flat.arproc")
    text = arproc.NGram(2, "witten_bell", tokens="char").fit(["abc", "cab"])
    text.save(made / "text.arproc")
    return made


def fault(command: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is wrong with how the command ended, or None."""
    with pytest.raises(SystemExit) as left:
        main(command)
    told = capsys.readouterr().err.splitlines()
    notes = re.compile(r"warning: |\S+: left out, for they hold no numbers: ")
    errors = [line for line in told if not notes.match(line)]
    if left.value.code == 0 and not errors:
        return None
    if left.value.code == 2 and len(errors) == 1 and errors[0].startswith("error: "):
        return None
    return f"{' '.join(command)}: {left.value.code}, {errors}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", READING)
def test_every_command_on_files_of_every_kind(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    number = list(READING).index(command)  # of every command another part of the files
    names = [name for i, name in enumerate(FILES) if (i + number) % 6 == 0]
    commands = [READING[command].replace("?", name).split() for name in names]
    assert [found for one in commands if (found := fault(one, capsys)) is not None] == []


@pytest.mark.filterwarnings("ignore")
def test_every_option_with_wrong_values(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    found = [told for one in OPTIONS if (told := fault(one.split(), capsys)) is not None]
    assert found == []
