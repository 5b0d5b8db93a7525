"""`make test-mutation MINUTES=60 MODULES="gate trust" AGAIN=1`: one change at a time, met by the tests of its function.

mutmut makes the changes and keeps what became of each in `mutants/`; a run goes on where the last one was stopped, and
`--again` tries anew what no test noticed. mutmut's own runner collects the tests for each change, which takes longer
than the tests: here they are collected once, run once to learn which of them call which function, and each change is
tried in a fork of that process: first the tests that noticed other changes of that function, then the quickest.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import Phase, settings
from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.file_utils import (
    change_cwd,
    copy_also_copy_files,
    copy_src_dir,
    setup_source_paths,
    walk_mutatable_files,
)
from mutmut.utils.format_utils import mangled_name_from_mutant_name

from tests.mutation.score import UNNOTICED, report

TEST_SECONDS_MAX: Final = 20.0
"""What the tests of one change may take without it, in seconds of processor time: the slowest are left out."""
CPU_FACTOR: Final = 3
"""How many times as long a test may take with it, and `CPU_SECONDS_MIN` more: what becomes endless is noticed."""
CPU_SECONDS_MIN: Final = 3
_NOTICED, _UNNOTICED, _NO_TESTS = 1, 0, 33

# The first example that fails is enough, and the same ones are tried for each change and in each run.
settings.register_profile(
    "mutation", max_examples=40, phases=(Phase.explicit, Phase.generate), derandomize=True, database=None
)


@dataclass(frozen=True, kw_only=True)
class _Trial:
    data: SourceFileMutationData
    mutant: str
    tests: list[pytest.Item]
    noticed: int
    """The end of a pipe: which test noticed, once the process is over."""
    began: float


class Trials:
    """A pytest plugin that tries the changes where pytest would run the tests."""

    def __init__(self, files: list[SourceFileMutationData], *, minutes: float, processes: int, again: bool) -> None:
        self._minutes, self._processes, self._again = minutes, processes, again
        self._files = files
        self._tests: defaultdict[str, list[pytest.Item]] = defaultdict(list)
        self._seconds: dict[str, float] = {}
        self._noticing: defaultdict[str, set[str]] = defaultdict(set)
        self._running: dict[int, _Trial] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Runs the tests once, then each change in a process of its own."""
        self._learn(session)
        if session.testsfailed:
            raise session.Failed("the tests fail without any change")
        until = time.monotonic() + 60 * self._minutes
        for data in self._files:
            for mutant, exit_code in list(data.exit_code_by_key.items()):
                if exit_code is not None and not (self._again and exit_code in UNNOTICED):
                    continue
                if time.monotonic() > until:
                    break
                self._start(session, data, mutant)
        while self._running:
            self._reap()
        return True

    def _learn(self, session: pytest.Session) -> None:
        """Which tests call which function, and how long each takes; session fixtures are made here, once."""
        set_mutant_under_test("stats")
        # The last one is followed by one of another file, so that all fixtures but the session's are taken down.
        after = next((item for item in session.items if item.path != session.items[-1].path), None)
        for item, following in zip(session.items, [*session.items[1:], after], strict=True):
            state()._stats.clear()
            began = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._seconds[item.nodeid] = time.process_time() - began
            for function in state()._stats:
                self._tests[function].append(item)
        set_mutant_under_test("")

    def _start(self, session: pytest.Session, data: SourceFileMutationData, mutant: str) -> None:
        tests = self._chosen(mutant)
        if not tests:
            self._save(data, mutant, _NO_TESTS, 0.0)
            return
        while len(self._running) >= self._processes:
            self._reap()
        sys.stdout.flush()
        noticed, notice = os.pipe()
        child = os.fork()
        if child == 0:
            self._try(session, mutant, tests, notice)
        os.close(notice)
        self._running[child] = _Trial(data=data, mutant=mutant, tests=tests, noticed=noticed, began=time.monotonic())

    def _chosen(self, mutant: str) -> list[pytest.Item]:
        """The tests that call the changed function: what noticed other changes of it, then what is over soon."""
        function = mangled_name_from_mutant_name(mutant)
        noticing = self._noticing[function]
        chosen, total = [], 0.0
        for item in sorted(self._tests[function], key=lambda one: self._seconds[one.nodeid]):
            total += self._seconds[item.nodeid]
            if chosen and total > TEST_SECONDS_MAX:
                break
            chosen.append(item)
        return sorted(chosen, key=lambda one: one.nodeid not in noticing)

    def _try(self, session: pytest.Session, mutant: str, tests: list[pytest.Item], notice: int) -> None:
        """Ends this process: with 1 when a test fails, 0 when none does, by a signal when one takes too long.

        `notice` is told which of the tests failed.
        """
        _, unlimited = resource.getrlimit(resource.RLIMIT_CPU)
        exit_code = _NOTICED
        try:
            set_mutant_under_test(mutant)
            for position, (item, following) in enumerate(zip(tests, [*tests[1:], tests[0]], strict=True)):
                until = time.process_time() + CPU_SECONDS_MIN + CPU_FACTOR * self._seconds[item.nodeid]
                resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(until), unlimited))
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os.write(notice, str(position).encode())
                    break
            else:
                exit_code = _UNNOTICED
        finally:
            os._exit(exit_code)

    def _reap(self) -> None:
        child, status = os.wait()
        trial = self._running.pop(child)
        position = os.read(trial.noticed, 16)
        os.close(trial.noticed)
        if position:
            self._noticing[mangled_name_from_mutant_name(trial.mutant)].add(trial.tests[int(position)].nodeid)
        self._save(trial.data, trial.mutant, os.waitstatus_to_exitcode(status), time.monotonic() - trial.began)

    def _save(self, data: SourceFileMutationData, mutant: str, exit_code: int, seconds: float) -> None:
        data.exit_code_by_key[mutant] = exit_code
        data.durations_by_key[mutant] = seconds
        data.save()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """No letter for any test: here they fail on purpose."""
        return report.outcome, "", ""


def main() -> int:
    """The exit status of the score."""
    parser = argparse.ArgumentParser(prog="make test-mutation", description="Changes that no test notices.")
    parser.add_argument("--minutes", type=float, default=240)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tests", nargs="*", help="files of tests; those of pyproject.toml when none is named")
    parser.add_argument("--again", action="store_true", help="try anew what was not noticed")
    parser.add_argument("modules", nargs="*", help="such as gate; all of them when none is named")
    arguments = parser.parse_args()
    Path("mutants").mkdir(exist_ok=True)
    set_mutant_under_test("mutant_generation")
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    create_mutants(arguments.processes)
    files = []
    for name in arguments.modules or sorted(path.stem for path in walk_mutatable_files()):
        (path,) = (path for path in walk_mutatable_files() if path.stem == name)
        data = SourceFileMutationData(path=path)
        # The file is read here, and written to mutants/ of this directory from whatever directory tests work in.
        data.meta_path = data.meta_path.absolute()
        data.load()
        files.append(data)
    trials = Trials(files, minutes=arguments.minutes, processes=arguments.processes, again=arguments.again)
    options = [
        "-q",
        "--tb=no",
        "--no-header",
        "--no-summary",
        "--hypothesis-profile=mutation",
        *config().pytest_add_cli_args,
    ]
    with change_cwd("mutants"):
        status = pytest.main(
            [*options, *(arguments.tests or config().pytest_add_cli_args_test_selection)], plugins=[trials]
        )
    if status != pytest.ExitCode.OK:
        return int(status)
    return report()


if __name__ == "__main__":
    sys.exit(main())
