"""Compiled loops over batches of rows that share a factor's value.

All compiled functions that call each other are in this file. numba's cache checks only the file of
the outermost function, and would keep using outdated code compiled from other files.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def grouped(labels, sizes):
    """Sort the rows of each factor by group and leave out groups of a single row.

    `labels`, (factors, samples), are in 0 to `sizes` - 1. Returns

    - `order`: the rows of the first factor's groups, then of the second's, …
    - `group`: the group of each place in `order`, counted over all factors.
    - `begin`: where each group begins in `order`, and the end of the last.
    - `start`: where each factor begins in `order`, and the end of the last.
    """
    factors, samples = labels.shape
    order = np.empty(factors * samples, np.int64)
    group = np.empty(factors * samples, np.int32)
    begin = np.empty(factors * samples // 2 + 1, np.int64)
    start = np.empty(factors + 1, np.int64)
    place, groups = 0, 0
    for k in range(factors):
        start[k] = place
        counts = np.zeros(sizes[k], np.int64)
        for i in range(samples):
            counts[labels[k, i]] += 1
        following = np.full(sizes[k], -1, np.int64)
        for value in range(sizes[k]):
            if counts[value] > 1:
                following[value] = place
                begin[groups] = place
                group[place : place + counts[value]] = groups
                place += counts[value]
                groups += 1
        for i in range(samples):
            at = following[labels[k, i]]
            if at >= 0:
                order[at] = i
                following[labels[k, i]] = at + 1
    start[factors] = place
    begin[groups] = place
    return order[:place], group[:place], begin[: groups + 1], start


@njit(nogil=True, cache=True)
def _extreme(rows, codes, lowest):
    """The code whose variance over these rows is lowest, or highest, and the first of equals."""
    latents = codes.shape[1]
    mean = np.zeros(latents)
    variance = np.zeros(latents)
    for row in rows:
        for d in range(latents):
            mean[d] += codes[row, d]
    mean /= len(rows)
    for row in rows:
        for d in range(latents):
            variance[d] += (codes[row, d] - mean[d]) ** 2
    return np.argmin(variance) if lowest else np.argmax(variance)


@njit(nogil=True, cache=True)
def votes(codes, order, group, begin, start, batch, points, lowest, draws):
    """How many of `points` batches of each factor vote for each code, (latents, factors).

    A vote draws a factor, a row, and `batch` rows with replacement from the group of that row.
    """
    factors = len(start) - 1
    found = np.zeros((codes.shape[1], factors), np.int64)
    rows = np.empty(batch, np.int64)
    for _ in range(points):
        k = int(draws.random() * factors)
        one = group[start[k] + int(draws.random() * (start[k + 1] - start[k]))]
        size = begin[one + 1] - begin[one]
        for i in range(batch):
            rows[i] = order[begin[one] + int(draws.random() * size)]
        found[_extreme(rows, codes, lowest), k] += 1
    return found


@njit(nogil=True, cache=True)
def shares_of_groups(codes, order, group, begin, start, lowest):
    """The share of rows whose whole group votes for each code, by factor, (latents, factors)."""
    factors = len(start) - 1
    found = np.zeros((codes.shape[1], factors))
    for k in range(factors):
        for one in range(group[start[k]], group[start[k + 1] - 1] + 1):
            rows = order[begin[one] : begin[one + 1]]
            found[_extreme(rows, codes, lowest), k] += len(rows)
        for d in range(len(found)):
            found[d, k] /= start[k + 1] - start[k]
    return found


@njit(nogil=True, cache=True)
def differences(codes, order, group, begin, start, batch, points, draws):
    """Mean absolute difference of `batch` pairs of rows, (points, latents), and its factor.

    The first row of a pair is any, and the second is another row of its group.
    """
    latents = codes.shape[1]
    factors = len(start) - 1
    found = np.zeros((points, latents))
    classes = np.empty(points, np.int64)
    for point in range(points):
        k = int(draws.random() * factors)
        classes[point] = k
        for _ in range(batch):
            place = start[k] + int(draws.random() * (start[k + 1] - start[k]))
            low = begin[group[place]]
            other = low + int(draws.random() * (begin[group[place] + 1] - low - 1))
            if other >= place:
                other += 1
            first, second = order[place], order[other]
            for d in range(latents):
                found[point, d] += abs(codes[first, d] - codes[second, d])
        found[point] /= batch
    return found, classes


@njit(nogil=True, cache=True)
def deviations(codes, labels, sizes, quantile, tails, beyond):
    """The quantile of each code's distance to its group's mean, averaged over groups.

    `codes`, (samples, latents), have a mean of zero. `tails`, (latents, rows), are the rows in
    which a code is furthest from zero, and `beyond` is the distance of the nearest of these. They
    suffice if the quantile is so far out that no other row can reach it. Where they do not, all
    rows are used. Returns (latents, factors).
    """
    samples, latents = codes.shape
    factors = len(labels)
    found = np.zeros((latents, factors))
    distances = np.empty(samples)
    everyone = np.arange(samples).astype(np.int32)
    for k in range(factors):
        counts = np.zeros(sizes[k], np.int64)
        means = np.zeros((sizes[k], latents))
        for i in range(samples):
            value = labels[k, i]
            counts[value] += 1
            for d in range(latents):
                means[value, d] += codes[i, d]
        begin = np.zeros(sizes[k] + 1, np.int64)
        groups = 0
        for value in range(sizes[k]):
            begin[value + 1] = begin[value] + counts[value]
            if counts[value]:
                means[value] /= counts[value]
                groups += 1
        for d in range(latents):
            total = -1.0
            if tails.shape[1]:
                total = _over_groups(
                    codes, labels[k], d, begin, means, quantile, tails[d], beyond[d], distances
                )
            if total < 0:
                total = _over_groups(
                    codes, labels[k], d, begin, means, quantile, everyone, -np.inf, distances
                )
            found[d, k] = total / groups
    return found


@njit(nogil=True, cache=True)
def _select(values, rank):
    """The value of this rank, from 0. `values` are reordered, with no smaller one after the rank.

    References:
        Hoare, Algorithm 65: Find, 1961
    """
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@njit(nogil=True, cache=True)
def _over_groups(codes, labels, d, begin, means, quantile, rows, beyond, distances):
    """The sum over groups of the quantile of distances, or -1 if these rows do not suffice."""
    end = begin.copy()
    for row in rows:
        value = labels[row]
        distances[end[value]] = abs(codes[row, d] - means[value, d])
        end[value] += 1
    total = 0.0
    for value in range(len(begin) - 1):
        size = begin[value + 1] - begin[value]
        if size == 0:
            continue
        place = (size - 1) * quantile
        whole = int(place)
        above = size - 1 - whole
        known = end[value] - begin[value]
        if known <= above:
            return -1.0
        among = distances[begin[value] : end[value]]
        low = _select(among, known - 1 - above)
        # No row that is left out is further from the group's mean than this.
        if low < beyond + abs(means[value, d]):
            return -1.0
        total += low
        if above:
            following = among[known - above]
            for i in range(known - above + 1, known):
                following = min(following, among[i])
            total += (following - low) * (place - whole)
    return total
