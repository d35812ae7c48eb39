"""The same doors without a browser: ``intentwin COMMAND ...``."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from app.commands.terminal import Answer

ROLES: Final = ("operator", "serving approver", "plant approver", "approver")
IMPORTS: Final = (
    "fleet", "llm-trace", "vm-trace", "function-trace", "telemetry", "incidents", "weather", "grid-carbon", "latency-profile",
    "device-prices", "executors", "workload-classes", "hints-log", "predictions",
)  # fmt: skip
# The kinds that a domain of this version reads; the others are refused with these.
READABLE: Final = (
    "fleet", "weather", "grid-carbon", "telemetry", "llm-trace", "latency-profile", "vm-trace", "device-prices", "workload-classes",
    "hints-log", "executors", "function-trace", "incidents", "predictions",
)  # fmt: skip
_STOPPED: Final = 130
_PIPE_CLOSED: Final = 141


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other refusal does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see `{self.prog} --help`\n")


class _Commands:
    """Declares commands: name, what it does, where its function lives. Nothing is imported until one is called."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def add(self, name: str, module: str, text: str) -> argparse.ArgumentParser:
        """Add a command; its function has the command's name (``import_`` for import)."""
        command: argparse.ArgumentParser = self._subparsers.add_parser(name, help=text, description=f"{text}.", allow_abbrev=False)
        command.add_argument("--json", action="store_true", help="write JSON instead of text")
        command.set_defaults(door=(f"app.commands.{module}", "import_" if name == "import" else name))
        return command


def parser() -> argparse.ArgumentParser:
    """Return the whole command line; light, so that help comes at once."""
    top = _Parser(prog="intentwin", description="A wind tunnel for datacenter policies.", allow_abbrev=False)
    top.add_argument("--version", action="store_true", help="write the version and stop")
    commands = _Commands(top)
    _console(commands)
    _intents(commands)
    _runs(commands)
    _evidence(commands)
    _lists(commands)
    return top


def _console(commands: _Commands) -> None:
    serve = commands.add("serve", "serve", "start the console")
    serve.add_argument("--port", type=_port, default=8501, help="port to listen on (default: 8501)")
    serve.add_argument("--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    serve.add_argument("--api-token-file", metavar="FILE", help="turn the API on, with the token in this file (or INTENTWIN_API_TOKEN)")


def _intents(commands: _Commands) -> None:
    intent = commands.add("intent", "words", "read a request, check it, compile it to a policy set")
    intent.add_argument("text", metavar="TEXT", help="the request; - reads one a line and answers each with a line of JSON")
    intent.add_argument("--save", action="store_true", help="keep it as a draft in the ledger")
    explore = commands.add("explore", "words", "try candidates for a request on the twin")
    explore.add_argument("text", metavar="TEXT", help="the request")
    explore.add_argument("--candidates", type=_count, default=4, metavar="N", help="how many to try (default: 4)")
    explore.add_argument("--seed", type=_seed, help="seed of the runs (default: the scenario's)")
    for command in (intent, explore):
        command.add_argument("--scenario", default="example", metavar="S", help="packaged scenario or .toml file (default: example)")
        command.add_argument(
            "--model", metavar="M", help="a LiteLLM model that reads beside the embedded reader (default: INTENTWIN_MODEL)"
        )
    approve = commands.add("approve", "words", "approve an intent's candidate")
    rollback = commands.add("rollback", "words", "take an approved intent back")
    for command in (approve, rollback):
        command.add_argument("intent", metavar="INTENT", help="its id, such as I-01")
        command.add_argument("--note", default="", help="a reason, kept with the decision")
    approve.add_argument("--version", dest="number", type=_count, metavar="V", help="the version that is meant (default: the latest)")
    for command in (intent, approve, rollback):
        command.add_argument("--as", dest="actor", metavar="NAME", help="who asks or decides (default: the login name)")
        command.add_argument("--role", default="operator", choices=ROLES, help="in which role (default: operator)")
    export = commands.add("export", "files", "write what each real system would take")
    export.add_argument("policy", metavar="POLICY", help="policy file, or the id of a policy or an intent in the ledger")
    export.add_argument("-o", "--output", required=True, metavar="PATH", help="folder to make, or a file ending in .zip")
    export.add_argument("--scenario", metavar="S", help="the site it is written for (default: the intent's own, else example)")


def _runs(commands: _Commands) -> None:
    run = commands.add("run", "simulate", "run a scenario under a policy set")
    run.add_argument("--policy", default="today", metavar="FILE", help="policy set as JSON, or the id of one (default: today's policy)")
    run.add_argument("--seed", type=_seed, help="default: the scenario's")
    run.add_argument("--messages", metavar="NAME", help="an imported hints-log to replay (workloads.negotiation.messages)")
    compare = commands.add("compare", "simulate", "run policy sets side by side, paired over seeds")
    compare.add_argument("--policy", action="append", required=True, metavar="FILE", help="twice: the reference, then the candidate")
    compare.add_argument("--seeds", type=_count, default=3, metavar="N", help="how many seeds (default: 3)")
    for command in (run, compare):
        command.add_argument("scenario", metavar="SCENARIO", help="packaged scenario or .toml file")
    sweep = commands.add("sweep", "simulate", "run a grid or sample of scenarios, policy sets and seeds")
    sweep.add_argument("file", metavar="FILE", help="the sweep, in TOML")
    sweep.add_argument("--backend", default="local", choices=("local", "dask", "ray"), help="where the runs are made (default: local)")
    for command in (compare, sweep):
        command.add_argument("--workers", type=_count, default=2, metavar="N", help="processes at once (default: 2)")


def _evidence(commands: _Commands) -> None:
    reproduce = commands.add("reproduce", "evidence", "hold our numbers against the published ones")
    reproduce.add_argument("system", nargs="?", metavar="SYSTEM", help="one system (default: all)")
    reproduce.add_argument("--workers", type=_count, default=2, metavar="N", help="processes at once (default: 2)")
    bench = commands.add("bench", "evidence", "measure how fast the twin is")
    bench.add_argument("domain", nargs="?", metavar="DOMAIN", help="one domain (default: all)")
    bench.add_argument("--full", action="store_true", help="incidents: a thousand drills instead of a hundred (most of an hour)")
    report = commands.add("report", "evidence", "write a run or a study as one file")
    report.add_argument("study", metavar="RUN_OR_STUDY", help="id of a run, or of an intent with its evidence")
    report.add_argument("-o", "--output", required=True, metavar="FILE", help=".html, .md or .zip")
    report.add_argument("--notes", default="", help="a paragraph of your own, put at the head")
    imports = commands.add("import", "files", "bring data in")
    imports.add_argument("kind", metavar="KIND", choices=IMPORTS, help=" or ".join(READABLE))
    imports.add_argument("file", metavar="FILE", help="the file to read")
    imports.add_argument("--name", metavar="NAME", help="what scenarios will call it (default: the file's name)")
    for name, text in (
        ("gpu", "the GPU it was measured on, such as h100"),
        ("engine", "vllm (default) or trtllm"),
        ("model", "the model, such as 8b"),
        ("tp", "how many GPUs held it"),
        ("precision", "bf16 (default) or fp8"),
    ):
        imports.add_argument(f"--{name}", metavar=name.upper(), help=f"latency-profile: {text}; or a column of the file")
    imports.add_argument("--models", metavar="FILE", help="fleet: server models of your own in TOML, for a CSV")
    imports.add_argument("--durations", metavar="FILE", help="function-trace: run times of the same day, for a day of Azure's of 2019")
    imports.add_argument("--timezone", metavar="ZONE", help="telemetry: where dates without an offset were written (default: UTC)")
    imports.add_argument(
        "--replace", action="store_const", const="yes", help="telemetry: let this file win where it contradicts an earlier one"
    )
    _incidents(commands)
    calibrate = commands.add("calibrate", "calibration", "fit a fleet's inlets and GPUs to imported telemetry")
    calibrate.add_argument("telemetry", metavar="NAME", help="what `intentwin import telemetry` called it")
    calibrate.add_argument("--fleet", required=True, metavar="FLEET", help="the fleet whose sensors these are")
    calibrate.add_argument("--servers", type=_count, default=10, metavar="N", help="how many servers to list, worst first (default: 10)")


def _incidents(commands: _Commands) -> None:
    look = commands.add("investigate", "incidents", "say what caused an incident, how one knows, and how sure one may be")
    look.add_argument("run", nargs="?", metavar="RUN", help="id of a run, or its beginning")
    look.add_argument("--incident", default="all", metavar="ID", help="one incident of the run (default: all)")
    look.add_argument("--policy", metavar="FILE", help="policy set whose investigation and confidence are asked (default: react_rca, pace)")
    look.add_argument(
        "--as-of", action="append", default=[], metavar="T", help="seconds of the run, or '+10 min' after it was opened; again"
    )
    look.add_argument("--ask", action="store_true", help="answer the investigator's questions at this terminal")
    look.add_argument("--dataset", nargs=2, metavar=("NAME", "PATH"), help="petshop or nezha, and its folder: AC@1, AC@3, Avg@5")
    look.add_argument("--onset", metavar="T", help="with --dataset known (default) or detected; with --import when it began")
    look.add_argument("--case", metavar="FOLDER", help="a folder with incident.json, telemetry and what else is known")
    look.add_argument("--import", dest="telemetry", metavar="NAME", help="imported telemetry; needs --entity, --metric and --onset")
    look.add_argument("--entity", metavar="E", help="with --import: whose symptom it is")
    look.add_argument("--metric", metavar="M", help="with --import: in which metric")
    look.add_argument("--topology", metavar="FILE", help="with --import: what hangs on what, as source,target")
    look.add_argument("--predictions", metavar="NAME", help="imported predictions: how sure one may be of each, learning from earlier ones")
    verdict = commands.add("verdict", "incidents", "say what really caused an incident")
    verdict.add_argument("run", metavar="RUN", help="id of a run, or its beginning")
    verdict.add_argument("incident", metavar="INCIDENT", help="its id in the run, such as incident-1")
    verdict.add_argument("--cause", required=True, metavar="C", help="right, wrong (what was named), or the class of cause that it was")
    verdict.add_argument("--entity", default="", metavar="E", help="who was to blame")
    verdict.add_argument("--note", default="", help="how one knows, kept with it")
    verdict.add_argument("--as", "--actor", dest="actor", metavar="NAME", help="who says so (default: the login name)")


def _lists(commands: _Commands) -> None:
    for name, text in (
        ("runs", "list stored runs"),
        ("policies", "list policy sets in the ledger"),
        ("intents", "list intents and where they stand"),
        ("systems", "list systems, their levers and knobs"),
        ("metrics", "list the vocabulary"),
        ("scenarios", "list packaged scenarios"),
        ("classes", "list classes of workloads: what each can do without, and where that comes from"),
        ("executors", "list executors of workflows: what each takes on which hardware, and where that comes from"),
        ("doctor", "check the health of the store"),
    ):
        command = commands.add(name, "lists", text)
        if name == "classes":
            command.add_argument("table", nargs="?", default="survey", metavar="TABLE", help="survey (default) or import:NAME")
        if name == "executors":
            command.add_argument("library", nargs="?", default="packaged", metavar="LIBRARY", help="packaged (default) or import:NAME")
        if name == "doctor":
            command.add_argument("--repair", action="store_true", help="remove what a crash left behind")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; write a whole number from 1 to 65535")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed; write a whole number from 0 to {2**31 - 1}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad input, others as the command says."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"intentwin {version('intentwin')}")
        return 0
    arguments = parser().parse_args(given)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was not finished was not kept\n")
        return _STOPPED
    except BrokenPipeError:
        # The reader went away: what is left in the buffer must not raise again when the interpreter closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (ValueError, OSError) as error:
        sys.stderr.write(f"intentwin {arguments.command}: {_one_line(error)}\n")
        return 2
    return code


def _run(arguments: argparse.Namespace) -> int:
    module, function = arguments.door
    answer: Answer = getattr(import_module(module), function)(arguments)
    if answer.silent:
        return answer.code
    if arguments.json:
        from app.commands.terminal import as_json

        print(as_json(answer.value))
    else:
        for line in answer.lines:
            print(line)
    return answer.code


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}; check the path and its permissions"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
