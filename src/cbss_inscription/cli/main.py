"""`cbss-inscription`: where commands begin, and the one place where an error becomes a sentence and a status."""

from __future__ import annotations

import io
import sys
import traceback
from typing import NoReturn

from cbss_inscription import __version__
from cbss_inscription.cli.exit_codes import ExitCode, exit_code_of_error, sentence_of_error
from cbss_inscription.domain.errors import CbssInscriptionError


def main() -> None:
    """Run the command line; every failure is one sentence on standard error and an exit status.

    A defect too: its traceback could hold numbers and names, and status 1 would say "nothing found".
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show "…" shows "?"
    if sys.argv[1:] == ["--version"]:  # scripts ask it often: nothing is imported for it
        sys.stdout.write(f"cbss-inscription {__version__}\n")
        sys.exit(ExitCode.DONE)
    try:
        from cbss_inscription.cli.commands import application_of

        application_of(sys.argv[1] if sys.argv[1:] else None)()
    except CbssInscriptionError as error:
        _end(sentence_of_error(error), exit_code_of_error(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing to say, and nobody to say it to
        sys.exit(ExitCode.DONE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _end(f"{place}{error.strerror or type(error).__name__}", ExitCode.REJECTED)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it
    except Exception as error:  # noqa: BLE001  # the last handler: see the docstring
        frame = traceback.extract_tb(error.__traceback__)[-1]
        _end(f"a defect: {type(error).__name__} at {frame.filename}:{frame.lineno}", ExitCode.UNAVAILABLE)


def _end(sentence: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"cbss-inscription: {sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
