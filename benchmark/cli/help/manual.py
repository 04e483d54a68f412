"""From the commands as typer has them to their manuals, and how help shows these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from benchmark.cli.help import guide
from benchmark.reports.terminal import console
from benchmark.reports.wording.manual import Manual, Panel, Row

PROGRAM = "kdbench"


class _Shown:
    """How a command shows its help and its usage."""

    def format_help(self, ctx: Any, _formatter: Any) -> None:
        """Print the manual."""
        from benchmark.reports.terminal.manual import manual_view

        out = console()
        for part in manual_view(manual_of(ctx)):
            out.print(part)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name: what must be written first."""
        return [
            *(_argument(p) for p in ctx.command.params if isinstance(p, TyperArgument)),
            *(["COMMAND"] if isinstance(self, TyperGroup) else []),
            "[OPTIONS]",
        ]


class Command(_Shown, TyperCommand):
    """A command whose help is its manual."""


class Group(_Shown, TyperGroup):
    """A group of commands whose help is its manual, and which knows what else they are called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is meant, or an error that names the likely one."""
        meant = guide.MEANT.get(args[0], "")
        known = self.get_command(ctx, args[0]) is not None
        if not known and ctx.parent is None and self.get_command(ctx, meant.split(" ")[0]):
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{meant}'?")
        return super().resolve_command(ctx, args)


def furnish(app: typer.Typer) -> typer.Typer:
    """Let all commands of an application, and of the groups in it, show their manuals."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.cls = Group
            furnish(group.typer_instance)
    return app


def manuals(program: Any) -> list[Manual]:
    """The manuals of the program and of all its commands, in the order of its help.

    Args:
        program: the group of all commands, as typer makes it.
    """
    root = typer.Context(program, info_name=PROGRAM)
    commands = sorted(_below(root), key=lambda found: _place(found[0]))
    return [manual_of(root), *(manual_of(context) for _, context in commands)]


def manual_of(context: typer.Context) -> Manual:
    """The manual of a command.

    Args:
        context: of a call of it.
    """
    command, name = context.command, _name(context)
    paragraphs = tuple(_sentences(text) for text in (command.help or "").split("\n\n") if text)
    arguments = [_row_of_argument(p) for p in command.params if isinstance(p, TyperArgument)]
    panels = [Panel("Arguments", tuple(arguments))] if arguments else []
    if isinstance(command, TyperGroup):
        panels += _panels_of_commands(context)
    panels += _panels_of_options(context)
    if not name:
        variables = tuple(Row(key, text) for key, text in guide.ENVIRONMENT.items())
        panels.append(Panel("Environment", variables))
    return Manual(
        command=context.command_path,
        usage=command.get_usage(context).removeprefix("Usage: "),
        paragraphs=paragraphs,
        panels=tuple(panels),
        examples=tuple(Row(call, text) for call, text in guide.EXAMPLES.get(name, ())),
    )


def _below(context: typer.Context) -> Iterator[tuple[str, typer.Context]]:
    """The commands in a group and in its groups, each with its name from there and a context."""
    group = context.command
    if not isinstance(group, TyperGroup):
        return
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if command is None or command.hidden:
            continue
        below = typer.Context(command, info_name=word, parent=context)
        if isinstance(command, TyperGroup):
            for name, found in _below(below):
                yield f"{word} {name}", found
        else:
            yield word, below


def _panels_of_commands(context: typer.Context) -> list[Panel]:
    """The commands of a group by what they are for, each with its first sentence."""
    prefix = f"{name} " if (name := _name(context)) else ""
    rows: dict[str, list[Row]] = {}
    for name, found in sorted(_below(context), key=lambda item: _place(prefix + item[0])):
        text = _sentences((found.command.help or "").partition("\n\n")[0])
        rows.setdefault(guide.panel_of_command(prefix + name), []).append(Row(name, text))
    if prefix:
        return [Panel("Commands", tuple(row for part in rows.values() for row in part))]
    return [Panel(title, tuple(part)) for title, part in rows.items()]


def _panels_of_options(context: typer.Context) -> list[Panel]:
    options = [
        option
        for option in context.command.get_params(context)
        if isinstance(option, TyperOption) and not option.hidden
    ]
    if len(options) < guide.ENOUGH:
        return [Panel("Options", tuple(map(_row_of_option, options)))]
    rows: dict[str, list[Row]] = {title: [] for title in guide.OPTIONS}
    for option in options:
        title = option.rich_help_panel or guide.panel_of_option(option.opts)
        rows.setdefault(title, []).append(_row_of_option(option))
    return [Panel(title, tuple(part)) for title, part in rows.items() if part]


def _row_of_argument(argument: TyperArgument) -> Row:
    return Row(_argument(argument), _sentences(argument.help or ""), _aside(argument))


def _row_of_option(option: TyperOption) -> Row:
    name = "/".join([*option.opts, *option.secondary_opts])
    if not option.is_flag:
        name += f" {option.metavar or guide.value_of_option(option.opts, _choices(option))}"
    return Row(name, _sentences(option.help or ""), _aside(option))


def _choices(option: TyperOption) -> list[str]:
    """The words that it takes, if it does not take any."""
    # Before typer had its own types they were those of click.
    kinds = (getattr(option, name, None) for name in ("type_descriptor", "type"))
    choices = next(filter(None, (getattr(kind, "choices", None) for kind in kinds)), ())
    return [str(getattr(choice, "value", choice)) for choice in choices]


def _aside(option: TyperOption | TyperArgument) -> str:
    """Its environment variable and its default, where it has them."""
    told = []
    if option.envvar and option.show_envvar:
        told.append(f"[{option.envvar}]")
    default = getattr(option.default, "value", option.default)
    flag = isinstance(option, TyperOption) and option.is_flag
    if default is not None and option.show_default and not flag and not callable(default):
        told.append(f"[default: {default}]")
    return " ".join(told)


def _argument(argument: TyperArgument) -> str:
    name = argument.metavar or argument.name.upper()
    several = "…" if argument.nargs != 1 else ""
    return f"{name}{several}" if argument.required else f"[{name}{several}]"


def _name(context: typer.Context) -> str:
    """The command's words behind the program's name."""
    return context.command_path.partition(" ")[2]


def _place(name: str) -> tuple[int, int]:
    """Where a command stands: its panel, and its place there."""
    title = guide.panel_of_command(name)
    if title == guide.OTHER:
        return len(guide.COMMANDS), 0
    return [*guide.COMMANDS].index(title), guide.COMMANDS[title].index(name)


def _sentences(text: str) -> str:
    """A help text without line breaks and without the marks of typer's markup."""
    return " ".join(text.replace("\\[", "[").split())
