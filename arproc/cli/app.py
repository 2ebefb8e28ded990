"""The commands themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arproc.cli.forecast import forecast
from arproc.cli.options import (
    Column,
    DataFile,
    Given,
    Index,
    Lines,
    ModelFile,
    Offset,
    Out,
    Seed,
)  # fmt: skip
from arproc.cli.report import report

app = typer.Typer(
    name="arproc",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Autoregressive processes, classical and neural, on one contract.\n\n"
    "Begin with `arproc demo`. With data of your own:\n\n"
    "    arproc fit ar series.csv --column value --order 9 --out ar.arproc\n\n"
    "    arproc forecast ar.arproc series.csv --column value --horizon 12\n\n"
    "Likelihoods are natural logarithms (nats) unless a column says bits.",
)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        import arproc

        print(f"arproc {arproc.__version__}")
        raise typer.Exit


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Any argument of the model's constructor is an option: `--order`, `--method`, "
    "`--hidden 64,64`; models of symbols take those of `Tokens` too: `--min-count`, `--end`; and "
    "neural models those of `Training`: `--steps`, `--lr`, `--batch-size`.",
)
def fit(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="ar, ngram, made, transformer ...")],
    data: DataFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the model is saved.")],
    column: Column = None,
    index: Index = None,
    lines: Lines = False,
    validation: Annotated[
        Path | None, typer.Option(help="Data to choose and stop on (neural models).")
    ] = None,
) -> None:
    """Fit a model to a file and save it.

    A sunspot-like series, one row a year:

        arproc fit ar sunspots.csv --column value --order 9 --out ar.arproc

    A character 6-gram of a text, and a small transformer trained for 500 steps:

        arproc fit ngram book.txt --order 6 --tokens char --out ngram.arproc

        arproc fit transformer book.txt --tokens char --steps 500 --out small.arproc

    A density of binary vectors, one row each:

        arproc fit made pixels.npy --hidden 200 --steps 1000 --out made.arproc

    A table of numbers, labels, truth values and dates, whole:

        arproc fit made people.csv --order-agnostic true --out people.arproc
    """
    from arproc.cli import files, models

    law = models.build(model, ctx.args)
    files.check_out(out)
    whole = law.takes_tables
    sequences = files.read(data, column, index, lines, whole=whole)
    held_out = None
    if validation is not None:
        held_out = files.read(validation, column, index, lines, whole=whole)
    law.fit(sequences, validation=held_out)
    law.save(out)
    print(f"{law!r}")
    print(f"log-likelihood {law.score(sequences):.4f} nats per element on {data}")
    print(f"saved to {out}")


@app.command()
def score(
    model: ModelFile,
    data: DataFile,
    column: Column = None,
    index: Index = None,
    lines: Lines = False,
    each: Annotated[
        bool, typer.Option("--each", help="CSV: one row for each sequence instead.")
    ] = False,
    terms: Annotated[
        bool, typer.Option("--terms", help="CSV: one row for each element instead.")
    ] = False,
    given: Given = None,
    offset: Offset = None,
    fragments: Annotated[
        bool,
        typer.Option(
            "--fragments", help="Sequences are cut out of longer ones: without <s> and </s>."
        ),
    ] = False,
    out: Out = None,
) -> None:
    """How probable a file is under a saved model.

    For example:

    arproc score ngram.arproc other.txt

    arproc score ar.arproc series.csv --column value --terms --out surprise.csv
    """
    import arproc
    from arproc.cli import files, models

    law = models.load(model)
    read = files.read(data, column, index, lines, whole=files.holds_table(law))
    complete = False if fragments else None
    law = law.midway() if fragments else law
    if each or terms:
        table = files.terms_table if terms else files.rows_table
        files.write_table(table(law, read, offset, complete), out)
        return
    text = f"{arproc.evaluate(law, read, given=given, offset=offset, complete=complete)}\n"
    files.write(text, out)


@app.command()
def sample(
    model: ModelFile,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 1,
    length: Annotated[
        int | None, typer.Option(help="Elements in each; needed where a process has no end.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="What to continue: text, or numbers with commas.")
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help='Of a table, what is known of the rows: JSON, {"city": "Oslo"}, or a CSV.'
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Below 1 sharpens; 0 is the most probable symbol.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Only the k most probable symbols.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the most probable share p.")] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Only symbols p times as probable as the most probable.")
    ] = None,
    typical: Annotated[
        float | None, typer.Option(help="Only symbols of typical surprise, a share p.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Power of the probability of symbols that came before.")
    ] = None,
    presence_penalty: Annotated[
        float | None, typer.Option(help="Nats off the score of symbols that came before.")
    ] = None,
    frequency_penalty: Annotated[
        float | None, typer.Option(help="Nats off the score of a symbol each time it came.")
    ] = None,
    no_repeat_ngram: Annotated[
        int | None, typer.Option(help="No so many symbols in a row come twice.")
    ] = None,
    ban: Annotated[
        list[str] | None, typer.Option(help="A symbol that must not come; repeat for several.")
    ] = None,
    min_length: Annotated[
        int | None, typer.Option(help="No end before so many elements, the prefix counted.")
    ] = None,
    regex: Annotated[
        str | None, typer.Option(help="Only texts that match this as a whole; no prefix counts.")
    ] = None,
    json_schema: Annotated[
        Path | None, typer.Option(help="Only JSON values of the schema in this file.")
    ] = None,
    grammar: Annotated[
        Path | None, typer.Option(help="Only texts of the grammar (Lark's syntax) in this file.")
    ] = None,
    condition: Annotated[
        bool,
        typer.Option(
            "--condition", help="Draw from the law given the constraint, not by masks alone."
        ),
    ] = False,
    low: Annotated[float | None, typer.Option(help="Only numbers above this.")] = None,
    high: Annotated[float | None, typer.Option(help="Only numbers below this.")] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="Cut a text after this; repeat for several.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Cut all draws when they have taken so long.")
    ] = None,
    nats: Annotated[
        float | None, typer.Option(help="Cut a draw when its elements were so surprising.")
    ] = None,
    speculative: Annotated[
        str | None,
        typer.Option(
            metavar="DRAFT",
            help="A saved model that guesses ahead, 'look-up' or 'own-heads': the same law.",
        ),
    ] = None,
    verify: Annotated[
        str, typer.Option(help="How guesses are kept: token or block; coupled for the same draws.")
    ] = "token",
    json: Annotated[bool, typer.Option("--json", help="One JSON value a line.")] = False,
    offset: Offset = None,
    seed: Seed = None,
    out: Out = None,
) -> None:
    """Draw sequences from a saved model: text as text, numbers as CSV with a row for each.

    For example:

    arproc sample ngram.arproc -n 3 --length 200 --prefix "The "

    arproc sample ngram.arproc --min-p 0.1 --repetition-penalty 1.2 --stop "." --length 400

    arproc sample ngram.arproc --regex "[A-Z][a-z ,]+" --length 200

    arproc sample ar.arproc -n 100 --length 50 --seed 1 --out paths.csv

    arproc sample transformer.arproc --length 500 --speculative ngram.arproc
    """
    from arproc.cli import drawing, files, models

    law = models.load(model)
    constraint = drawing.constraint(regex, json_schema, grammar)
    start = drawing.prefix(law, prefix)
    if constraint is not None and start is not None:
        law, start = law.condition(start), None  # the constraint is on what is drawn
    policy = drawing.policy(
        Constrain=None if condition else constraint,
        MinLength=min_length,
        Ban=drawing.symbols(law, ban),
        NoRepeatNGram=no_repeat_ngram,
        RepetitionPenalty=repetition_penalty,
        PresencePenalty=presence_penalty,
        FrequencyPenalty=frequency_penalty,
        Temperature=temperature,
        TopK=top_k,
        TopP=top_p,
        MinP=min_p,
        Typical=typical,
        Within=None if low is None and high is None else (low, high),
    )
    cut = drawing.stop(stop, seconds, nats)
    if condition:
        drawing.refuse_beside("--condition", {"--stop, --seconds or --nats": cut,
                                              "--offset": offset, "--known": known,
                                              "--speculative": speculative})  # fmt: skip
        draws = drawing.given(law, constraint, policy, n, length, seed)
    elif speculative is not None:
        drawing.refuse_beside("--speculative", {"--known": known})
        options = {"prefix": start, "policy": policy, "stop": cut, "seed": seed, "offset": offset}
        draws = drawing.speculative(law, speculative, verify, n, length, options)
    else:
        rows = None if known is None else files.known_rows(known)
        draws = law.sample(
            n, length, start, policy, cut, seed, offset=offset, known=rows,
        )  # fmt: skip
    files.write_samples(draws, out, json)


app.command()(forecast)


@app.command()
def compare(
    data: DataFile,
    model: Annotated[list[Path], typer.Argument(help="Saved models, at least two.")],
    column: Column = None,
    index: Index = None,
    lines: Lines = False,
    given: Given = None,
    offset: Offset = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the table here as CSV too.")
    ] = None,
) -> None:
    """Compare saved models on one file, with paired differences and their errors.

    For example:

    arproc compare held-out.txt ngram.arproc small.arproc --lines
    """
    import arproc
    from arproc.cli import files, models
    from arproc.cli.show import comparison_grid, console
    from arproc.errors import ParameterError

    if len(model) < 2:
        raise ParameterError("compare needs at least two models; got one.")
    laws = models.load_named(model)
    whole = any(files.holds_table(law) for law in laws.values())
    read = files.read(data, column, index, lines, whole=whole)
    table = arproc.compare(laws, read, given=given, offset=offset)
    console().print(comparison_grid(table, str(data)))
    if out is not None:
        files.write_table(table, out)


app.command()(report)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="A model: a file of arproc's, or ARPA (plain, .gz, .bz2, .xz).")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="Written as ARPA if it ends in .arpa, .arpa.gz ...; else as arproc's."
        ),
    ],
    tokens: Annotated[
        str | None,
        typer.Option(help="What the words of an ARPA file are: word, char or byte. [word]"),
    ] = None,
    special: Annotated[
        str | None,
        typer.Option(
            help="<unk>, <s> and </s> in a text of words: error, escape, or unknown. [error]"
        ),
    ] = None,
    renormalise: Annotated[
        bool,
        typer.Option(
            "--renormalise", help="Make an ARPA file's probabilities add up; else it is refused."
        ),
    ] = False,
    floor: Annotated[
        float | None,
        typer.Option(help="log10 p of unknown words for an ARPA file without <unk>, e.g. -100."),
    ] = None,
) -> None:
    """Write a model in another format: n-gram models as ARPA files (KenLM, SRILM), and back.

    For example:

    arproc convert lm.arpa.gz lm.arproc

    arproc convert ngram.arproc ngram.arpa
    """
    from arproc.cli import files
    from arproc.cli.convert import read_model, write_model

    files.check_out(out)
    law = read_model(source, tokens, special, renormalise, floor)
    kind = write_model(law, out)
    sizes = getattr(law, "n_ngrams_", None)
    held = "" if sizes is None else f", {', '.join(f'{n:,}' for n in sizes)} n-grams by order"
    print(f"{law!r}{held}")
    print(f"saved to {out} ({kind})")


@app.command(name="warm-up")
def warm_up(
    only: Annotated[
        list[str] | None, typer.Argument(help="Only these, as ARIMA.fit; see --list. [all]")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name what there is, and stop.")] = False,
) -> None:
    """Compile what otherwise compiles at the first call on a machine: a minute or two, once.

    For example:

    arproc warm-up

    arproc warm-up NGram.fit NGram.sample
    """
    from arproc.warming import CALLS, warm_up

    if list_:
        print("\n".join(CALLS))
        return
    seconds = warm_up(only or None, progress=True)
    print(f"compiled in {sum(seconds.values()):.1f} s")


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for pictures and samples.")
    ] = Path("demo-output"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Seconds instead of minutes; figures are worse.")
    ] = False,
) -> None:
    """The whole library on real data: sunspots, CO2, English text, handwritten digits.

    Fits, compares and draws; needs no network and under three minutes on two cores.
    """
    from arproc.cli.demo import run

    run(out, quick=quick)
