"""The typer application: help texts with headings, and the options that all commands have."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from rich.console import Console

IO = "Input and output"
PIPELINE = "Pipeline"
MODEL = "Model"
SERVER = "Server"
BUDGET = "Budget"
LOCAL = "Local model"
STORE = "Store"
LIMITS = "Limits"
CLUSTER = "Cluster"
ASSUMPTIONS = "Assumptions"
TRAINING = "Training"
STUDY = "Study"
EVALUATION = "Evaluation"
JUDGES = "Judges"
REPORTING = "Reporting"
HEADINGS = (
    "Arguments", IO, PIPELINE, EVALUATION, JUDGES, STUDY, TRAINING, MODEL, SERVER, BUDGET, LOCAL,
    ASSUMPTIONS, STORE, LIMITS, CLUSTER, REPORTING, "Options",
)  # fmt: skip
"""The headings of the help texts, in the order in which they are printed."""
WIDE = 30
"""Maximum width of the column of option names; longer names get a line of their own."""

Function = TypeVar("Function", bound=Callable[..., Any])
log = logging.getLogger("stepc")


class ErrorStream:
    """Standard error. Imports rich, which takes a tenth of the start-up time, only for a terminal."""

    quiet = False

    @functools.cached_property
    def console(self) -> Console:
        """The terminal; a progress bar is drawn on it."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether colours and a progress bar can be shown."""
        return sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))

    def print(self, text: str, style: str = "", length: int | None = None) -> None:
        """Print a line, its first `length` characters in `style` (rich syntax). Quiet prints nothing."""
        if self.quiet:
            return
        if not self.is_terminal:
            print(text, file=sys.stderr)
            return
        from rich.text import Text

        line = Text(text)
        line.stylize(style, 0, length)
        self.console.print(line)


errors = ErrorStream()


class _ToConsole(logging.Handler):
    """Prints log records to standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        errors.print(self.format(record), style="dim")


def _set_verbosity(param: Any, value: bool) -> None:
    """Apply --quiet or --verbose, wherever it stands. Raises BadParameter if both are given."""
    if not value:
        return
    if param.name == "quiet":
        errors.quiet = True
    elif not log.handlers:
        handler = _ToConsole()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
    if errors.quiet and log.handlers:
        raise typer.BadParameter("--quiet and --verbose exclude each other")


def _on_verbosity(ctx: typer.Context, param: typer.CallbackParam, value: bool) -> bool:
    if not ctx.resilient_parsing:
        _set_verbosity(param, value)
    return value


_QUIET = typer.Option(
    "--quiet", "-q", help="Print only errors to stderr.", callback=_on_verbosity, is_eager=True,
    expose_value=False, allow_from_autoenv=False, rich_help_panel=REPORTING,
)  # fmt: skip
_VERBOSE = typer.Option(
    "--verbose", "-v", help="Print debug log lines to stderr.", callback=_on_verbosity, is_eager=True,
    expose_value=False, allow_from_autoenv=False, rich_help_panel=REPORTING,
)  # fmt: skip


def with_verbosity(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the options --quiet and --verbose, which it does not receive."""
    own = inspect.signature(command, eval_str=True)
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
        )
        for name, option in (("quiet", _QUIET), ("verbose", _VERBOSE))
    ]

    @functools.wraps(command)
    def run(quiet: bool = False, verbose: bool = False, **given: Any) -> Any:
        return command(**given)

    parameters = [*own.parameters.values(), *more]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _rank(heading: str) -> int:
    return HEADINGS.index(heading if heading in HEADINGS else "Options")


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the arguments and options of a command, under the headings that the options name."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            own = getattr(param, "rich_help_panel", None)
            other = "Arguments" if param.param_type_name == "argument" else "Options"
            rows.setdefault(own or other, []).append(record)
    names = [name for records in rows.values() for name, _ in records]
    width = min(max(map(len, names), default=0), WIDE)
    for heading in sorted(rows, key=_rank):
        with formatter.section(heading):
            formatter.write_dl([(n.ljust(width), help) for n, help in rows[heading]], col_max=WIDE)


class Command(TyperCommand):
    """A command whose help text lists its options under headings (their `rich_help_panel`).

    typer itself does so only with rich markup. This help text is plain on every terminal. It leaves
    out environment variables, because the documentation of the configuration lists them.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for param in self.params:
            param.show_envvar = False  # type: ignore[attr-defined]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)


class Group(TyperGroup):
    """A group of commands with the same help text as `Command`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands, each with the whole first sentence of its help."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(n, c.get_short_help_str(200)) for n, c in commands if c and not c.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class App(typer.Typer):
    """A typer application with the settings that all groups of commands share."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            cls=Group,
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            **settings,
        )

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = Command, **settings: Any
    ) -> Callable[[Function], Function]:
        add = super().command(name, cls=cls, **settings)

        def register(function: Function) -> Function:
            add(with_verbosity(function))
            return function

        return register
