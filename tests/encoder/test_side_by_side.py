import threading

import pytest
import torch

from q2_aam.encoder.side_by_side import Pieces, Settled, add_up, side_by_side


def test_results_are_in_the_order_of_the_items(threads):
    """Also where a later item is done before an earlier one."""
    second = threading.Event()

    def work(item):
        if item == 0 and threads > 1:
            assert second.wait(60)
        if item == 1:
            second.set()
        return 10 * item

    assert list(side_by_side(work, range(5))) == [0, 10, 20, 30, 40]


def test_each_thread_has_its_share_of_torchs_threads(threads):
    def work(item):
        return threading.get_ident(), torch.get_num_threads()

    found = list(side_by_side(work, range(2)))
    assert {number for _, number in found} == {threads // min(2, threads)}
    here = threading.get_ident()
    assert {ident == here for ident, _ in found} == {threads == 1}
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradients", [True, False])
def test_work_has_the_precision_and_the_gradients_of_who_asks(threads, dtype, gradients):
    x = torch.rand(4, 4, requires_grad=True)
    with torch.set_grad_enabled(gradients), torch.autocast("cpu", dtype):
        results = list(side_by_side(lambda item: x @ x, range(3)))
    assert {(result.dtype, result.requires_grad) for result in results} == {(dtype, gradients)}
    assert {result.dtype for result in side_by_side(lambda item: x @ x, range(3))} == {torch.float32}


def test_an_error_comes_out_and_torch_has_its_threads_again(threads):
    def work(item):
        if item == 2:
            raise ValueError("Item 2 is bad.")
        return item

    with pytest.raises(ValueError, match="^Item 2 is bad.$"):
        list(side_by_side(work, range(6)))
    assert torch.get_num_threads() == threads


def test_add_up():
    one, two = torch.tensor([1.0]), torch.tensor([2.0])
    # The same tensor twice in a part, as autograd gives for a sum of two.
    total = add_up([(None, one, one, None), (two, two, None, None), (two, None, two, None)])
    assert [None if x is None else x.item() for x in total] == [4, 3, 3, None]
    assert (one.item(), two.item()) == (1, 2)
    assert add_up([]) == []


def test_half_precision_is_summed_in_float32():
    (total,) = add_up([(torch.tensor([1.0], dtype=torch.bfloat16),)] * 300)
    assert total.item() == 300 and total.dtype == torch.float32


def test_gradients_of_pieces_are_computed_once_and_errors_come_out(threads):
    x = torch.rand(3, requires_grad=True)

    def work(place, x):
        if place == 7:
            raise ValueError("Piece 7 is bad.")
        return (x[place] * 2,)

    with pytest.raises(ValueError, match="^Piece 7 is bad.$"):
        Pieces.apply(work, [0, 7, 1], [True] * 3, 1, x)
    total = sum(Pieces.apply(work, range(3), [True, False, True], 1, x))
    total.backward(retain_graph=True)
    assert x.grad.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="are computed once"):
        total.backward()

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, gradient):
            raise ValueError("It cannot go back.")

    results = Pieces.apply(lambda place, x: (Fails.apply(x[place]),), range(3), [True] * 3, 1, x)
    with pytest.raises(ValueError, match="It cannot go back"):
        sum(results).backward()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("cast", [True, False])
def test_gradients_of_pieces_are_those_of_the_whole_and_do_not_depend_on_threads(cast):
    torch.manual_seed(0)
    weight, unused, frozen = (torch.nn.Parameter(torch.randn(8, 8)) for _ in range(3))
    frozen.requires_grad_(False)
    x = torch.randn(5, 8, 8, requires_grad=True)

    def slopes(stored):
        inputs = (x, frozen, weight, unused)
        with torch.autocast("cpu", torch.bfloat16, cast):
            found = Pieces.apply(lambda n, x, frozen: ((x[n] @ weight @ frozen).relu(),), range(5), stored, 2, *inputs)
        return torch.autograd.grad(
            sum(part.float().square().sum() for part in found), (x, weight, unused), allow_unused=True
        )

    whole = (x @ weight @ frozen).relu().square().sum()
    expected = torch.autograd.grad(whole, (x, weight))
    before, outcomes = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outcomes += [slopes([True] * 5), slopes([False, False, True, False, True])]
    finally:
        torch.set_num_threads(before)
    for outcome in outcomes:
        assert outcome[2] is None
        for found, again, wanted in zip(outcome[:2], outcomes[0][:2], expected, strict=True):
            assert torch.equal(found, again)
            torch.testing.assert_close(found, wanted, **({"rtol": 0.1, "atol": 2.0} if cast else {}))


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_at_a_time_than_asked_for(threads, most):
    lock, now, seen = threading.Lock(), [0], []

    def work(item):
        with lock:
            now[0] += 1
            seen.append(now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1
        return torch.get_num_threads()

    found = list(side_by_side(work, range(6), most))
    assert max(seen) <= most and set(found) == {threads // min(threads, most)}


def test_a_settled_sum_has_the_gradients_of_the_whole_and_is_computed_once(threads):
    torch.manual_seed(0)
    weight, unused, frozen = (torch.nn.Parameter(torch.randn(8, 8)) for _ in range(3))
    frozen.requires_grad_(False)
    x, calls = torch.randn(5, 8, 8), []

    def work(n):
        calls.append(n)
        part = (x[n] @ weight @ frozen).relu()
        return part.square().sum(), part, part.sum(1)

    total, *others = Settled.apply(work, range(5), weight, unused, frozen)
    whole = (x @ weight @ frozen).relu()
    torch.testing.assert_close(total, whole.square().sum())
    torch.testing.assert_close(torch.stack(others[::2]), whole)
    torch.testing.assert_close(torch.stack(others[1::2]), whole.sum(2))
    assert not any(part.requires_grad for part in others)
    found = torch.autograd.grad(3 * total, (weight, unused), allow_unused=True)
    assert found[1] is None and sorted(calls) == list(range(5))
    expected = torch.autograd.grad(3 * whole.square().sum(), weight)[0]
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-3)


def test_an_error_in_a_settled_sum_comes_out(threads):
    def work(place):
        raise ValueError("Piece 0 is bad.")

    with pytest.raises(ValueError, match="^Piece 0 is bad.$"):
        Settled.apply(work, [0], torch.zeros(1, requires_grad=True))
    assert torch.get_num_threads() == threads
