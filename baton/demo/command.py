"""`python -m baton demo`."""

from typing import Annotated

import typer

EXIT_STOPPED = 130


def demo(
    teams: Annotated[int, typer.Option(min=1, max=500, help="How many teams play at once.")] = 1,
    skill: Annotated[float, typer.Option(min=0.0, max=1.0, help="The part of the answers that are right.")] = 0.9,
    speed: Annotated[float, typer.Option(min=0.1, max=50.0, help="How many times faster than people they think.")] = 1,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="BATON_URL", help="The gateway. By default what `make up` runs here; if nothing does, one's own."
        ),
    ] = None,
    rules: Annotated[
        str | None, typer.Option(help="Rules of the game as JSON, e.g. '{\"seats\": 6}'; the rest is chosen to fit.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=1, help="The host ends a game that lasts longer.")] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="No live view: a line now and then.")] = False,
) -> None:
    """Let bots play whole games over the public API, and check all that they are told."""
    # Here and not above, so that the other commands need not load all this.
    from baton.demo.run import BadRulesError, Options, parse_rules, run
    from baton.demo.system import NoSystemError

    try:
        options = Options(
            teams=teams,
            skill=skill,
            speed=speed,
            url=url,
            rules=parse_rules(rules),
            max_seconds=max_seconds,
            as_json=as_json,
            plain=plain,
        )
        raise typer.Exit(run(options))
    except (BadRulesError, NoSystemError) as error:
        typer.echo(f"demo: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as stop:
        typer.echo("demo: stopped", err=True)
        raise typer.Exit(EXIT_STOPPED) from stop
