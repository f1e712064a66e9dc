"""Threads, the memory budget and the times of the stages."""

import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cryores.errors import MemoryBudgetError
from cryores.execution import GIGABYTE, Execution, Stage, available_memory, available_threads, share_out


class Counted(Stage):
    def __init__(self):
        self.steps, self.closed = 0, 0

    def advance(self, steps=1):
        self.steps += steps

    def close(self):
        self.closed += 1


def test_stages_are_opened_counted_closed_and_timed_even_when_they_fail():
    opened = {}

    def open_stage(title, steps):
        opened[title] = (steps, Counted())
        return opened[title][1]

    execution = Execution(threads=1, open_stage=open_stage)
    with execution.stage("one", 3) as stage:
        stage.advance()
        stage.advance(2)
    with pytest.raises(ValueError, match="broken"), execution.stage("two"):
        raise ValueError("broken")
    first = execution.timings["one"]
    with execution.stage("one"):
        pass
    assert opened["two"][0] == 0 and opened["two"][1].closed == 1
    assert list(execution.timings) == ["one", "two"] and execution.timings["one"] > first > 0


def test_a_plan_within_the_budget_is_told_and_kept():
    said = []
    execution = Execution(memory=2.0, say=said.append)
    execution.require_memory(1.5 * GIGABYTE)
    assert said == ["memory: needs 1.50 GB, 2.00 GB allowed"] and execution.planned_bytes == 1.5 * GIGABYTE


@pytest.mark.parametrize("memory, needed", [(1.0, 1.01 * GIGABYTE), (None, 1e18)])
def test_a_plan_beyond_the_budget_or_the_machine_is_refused(memory, needed):
    with pytest.raises(MemoryBudgetError) as raised:
        Execution(memory=memory).require_memory(needed)
    assert raised.value.code == "E_MEMORY" and raised.value.exit_status == 4
    said = float(raised.value.hint.split("--memory to ")[1].split()[0])
    Execution(memory=said).require_memory(needed)


LIMITED = """
import resource, sys
from cryores.errors import MemoryBudgetError
from cryores.execution import GIGABYTE, Execution
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
execution = Execution(threads=1, memory=1000.0)
free = execution.budget
execution.held_addresses = GIGABYTE
print(round((free - execution.budget) / GIGABYTE, 2))
try:
    execution.require_memory(free - 0.005 * GIGABYTE)
except MemoryBudgetError as error:
    print(error.hint)
"""


def test_what_takes_addresses_alone_is_kept_free_within_a_limit_of_them():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "1.0",
        "raise the limit of addresses (ulimit -v) by 1.00 GB or more, or crop or bin the maps",
    ], done.stdout


def test_products_of_matrices_have_one_thread_each_while_a_method_works():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with threadpool_limits(3, "blas"):
        with Execution().at_work():
            assert threads() and set(threads()) == {1}
        assert set(threads()) == {3}
    assert threads() == before


def test_every_processor_by_default_and_never_more_than_there_are():
    assert Execution().threads == available_threads() >= 1
    assert available_memory() > 0
    before = numba.get_num_threads()
    try:
        Execution(threads=1).use_threads()
        assert numba.get_num_threads() == 1
        Execution(threads=10**6).use_threads()
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("threads, count", [(1, 10), (3, 10), (3, 2)])
def test_work_is_shared_out_in_the_same_slices_whatever_the_threads(threads, count):
    seen, workers = np.zeros(count, dtype=int), set()

    def add(part):
        seen[part] += part.stop
        workers.add(threading.get_ident())

    share_out(count, 4, add, threads)
    assert seen.tolist() == [4, 4, 4, 4, 8, 8, 8, 8, 12, 12][:count]
    here = threading.get_ident()
    assert (workers == {here}) == (threads == 1 or count <= 4), "a thread of its own costs more than little work"


@pytest.mark.parametrize("threads", [1, 2])
def test_what_goes_wrong_in_shared_work_is_told(threads):
    def fail(part):
        raise ValueError(part.start)

    with pytest.raises(ValueError, match="0"):
        share_out(9, 3, fail, threads)
