"""A stand-in for the one function of the package `unifrac` that q2-aam calls, where there is no build of it.

Slow and plain: each branch's share of each sample's reads, and sums over branches.
"""

from types import SimpleNamespace

import numpy as np


def ssu_inmem(table, tree, unifrac_method, variance_adjust, alpha, bypass_tips, n_substeps):
    """Distances among a table's samples on a ``bp.BP`` whose tips are its observations, as ``.data``."""
    assert not (variance_adjust or bypass_tips) and unifrac_method.endswith("_fp64")
    method = unifrac_method.removesuffix("_fp64")
    # What a tree is pickled by; a node's branch is a row, the root's is none.
    _, (parentheses, lengths, names) = tree.__reduce__()
    row_of = {name: row for row, name in enumerate(table.ids(axis="observation"))}
    totals = table.sum("sample")
    shares = table.matrix_data.toarray() / np.where(totals > 0, totals, 1)
    branches, branch_lengths, open_nodes = [], [], []
    for place, opens in enumerate(parentheses):
        if opens:
            open_nodes.append((place, len(branches)))
            continue
        begin, first = open_nodes.pop()
        is_tip = begin == place - 1
        # All branches since are below it; the tips' are what it holds.
        below = [shares[row_of[names[begin]]]] if is_tip else [share for share, tip in branches[first:] if tip]
        branches.append((np.sum(below, axis=0), is_tip))
        branch_lengths.append(lengths[begin])
    # The root is closed last.
    of_branch, weights = np.array([share for share, _ in branches[:-1]]), np.array(branch_lengths[:-1])
    n = of_branch.shape[1]
    distances = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            distances[i, j] = distances[j, i] = _distance(method, of_branch[:, i], of_branch[:, j], weights, alpha)
    return SimpleNamespace(data=distances)


def _distance(method, one, other, lengths, alpha):
    both = one + other
    if method == "unweighted":
        top, whole = lengths[(one > 0) != (other > 0)].sum(), lengths[both > 0].sum()
    else:
        power = alpha if method == "generalized" else 1.0
        there = both > 0
        difference = np.abs(one - other)[there] * both[there] ** (power - 1)
        top, whole = (lengths[there] * difference).sum(), (lengths[there] * both[there] ** power).sum()
    with np.errstate(invalid="ignore"):
        return np.divide(top, whole)
