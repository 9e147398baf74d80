"""The command group that turns expected errors into one clear line and an exit code: 0 ok, 1 failed, 2 usage."""

import asyncio
import difflib
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from api.cli.screen import complain
from streams.errors import MillraceError

Result = TypeVar("Result")

ORDER: Final = (
    "demo", "up", "submit", "run", "jobs", "job", "result", "logs", "trace", "cancel", "retry", "task", "companies",
    "search", "answer", "collections", "leads", "audit-page", "robots-check", "worker", "api", "analytics", "alerts",
    "workers", "streams", "stages", "pause", "resume", "purge", "dlq", "replay", "limits", "schedule", "suppressions",
    "audit-log", "keys", "doctor", "health", "migrate", "backup", "restore", "setup", "eval", "bench", "chaos",
)  # fmt: skip
INTERRUPTED: Final = 130
"""As shells count: 128 and the number of SIGINT."""


class Usage(MillraceError):  # noqa: N818 - it says what is wrong
    """What was asked for cannot be understood; ends with exit code 2."""


class Root(TyperGroup):
    """Runs a command, and says what went wrong without a traceback when that was to be expected."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - of the base class
        """The commands in the order in which help shows them."""
        return sorted(self.commands, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from redis.exceptions import RedisError

        from schemas.settings import SettingsError

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Usage as error:
            complain(str(error))
            raise typer.Exit(2) from None
        except (MillraceError, SettingsError) as error:
            complain(str(error))
        except RedisError as error:
            complain(
                f"Redis does not answer as it should: {error}. Is MILLRACE_REDIS_URL right? `./millrace doctor` looks"
            )
        except BrokenPipeError:
            raise
        except OSError as error:
            complain(str(error))
        raise typer.Exit(1)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; say which one may have been meant."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            meant = f" Did you mean `{near[0]}`?" if near else ""
            raise Usage(f"there is no command `{name}`.{meant} `{ctx.command_path} --help` lists them")
        return super().resolve_command(ctx, args)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's coroutine; Ctrl-C cancels it, and it cleans up."""
    return asyncio.run(work)
