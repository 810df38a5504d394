"""Two pieces of work at a time."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from elmo_tagger.bilm.cpu.threads import run_in_parallel
from tests.bilm.random_models import WORDS, random_bilm


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def seen_by_both(look):
    seen = {}
    run_in_parallel(lambda: seen.update(one=look()), lambda: seen.update(other=look()))
    return seen["one"], seen["other"]


def test_they_share_the_threads_and_leave_the_caller_its_own(threads):
    assert sum(seen_by_both(torch.get_num_threads)) == max(threads, 2)
    assert torch.get_num_threads() == threads
    beginning = []
    made_later = threading.Thread(target=lambda: beginning.append(torch.ones(2).sum() + torch.get_num_threads()))
    made_later.start()
    made_later.join()
    assert beginning == [2 + threads]


def test_they_run_at_the_same_time(threads):
    meeting = threading.Barrier(min(threads, 2), timeout=20)
    run_in_parallel(meeting.wait, meeting.wait)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_modes_are_the_callers(threads, inference, gradients):
    with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
        assert seen_by_both(torch.is_grad_enabled) == (gradients, gradients)
        assert seen_by_both(torch.is_inference_mode_enabled) == (inference, inference)


def test_an_error_is_raised_after_both_have_ended(threads):
    ended = []

    def fails():
        raise ValueError("this one")

    pieces = (fails, lambda: ended.append(True)) if threads > 1 else (lambda: ended.append(True), fails)
    with pytest.raises(ValueError, match="this one"):
        run_in_parallel(*pieces)
    assert ended
    assert seen_by_both(lambda: 1) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_makes_threads_of_its_own(threads):
    assert seen_by_both(os.getpid) == (os.getpid(), os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0 if seen_by_both(os.getpid) == (os.getpid(), os.getpid()) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_bilm_gives_the_same_from_several_threads_at_once(threads):
    bilm = random_bilm()
    sentences = [WORDS, WORDS[:2], WORDS[1:]]
    expected = bilm.embed(sentences).elmo
    found = [None] * 4

    def embed(number):
        found[number] = bilm.embed(sentences).elmo

    callers = [threading.Thread(target=embed, args=(number,)) for number in range(len(found))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for each in found:
        torch.testing.assert_close(each, expected, rtol=0, atol=1e-6)
