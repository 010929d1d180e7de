"""Statistics: medians and their intervals.

The interval is that of order statistics (the binomial distribution of how many values lie below the median): it assumes
nothing about the distribution. Of n values it is the k-th smallest to the k-th largest, k as large as leaves at least
95 %. Below 6 values there is no such k; then it is smallest to largest, and its true share is told."""
import dataclasses
import math
import statistics


@dataclasses.dataclass
class Estimate:
    median: float
    low: float
    high: float
    share: float  # how sure the interval is
    n: int


def estimate(values):
    values = sorted(values)
    n, tail, low = len(values), 0.0, 0
    while low < (n - 1) // 2 and tail + math.comb(n, low) / 2**n <= 0.025:
        tail += math.comb(n, low) / 2**n
        low += 1
    low = max(low - 1, 0)
    outside = 2 * sum(math.comb(n, i) for i in range(low + 1)) / 2**n
    return Estimate(statistics.median(values), values[low], values[n - 1 - low], max(0.0, 1 - outside), n)


def ratios(ours, theirs):
    """Of the same round each."""
    return [a / b if b else math.inf for a, b in zip(ours, theirs)]


def verdict(value, op, goal):
    """met: the whole interval is on the right side; not met: the whole of it on the wrong one; between these the median
    says which is likely."""
    inside = (lambda x: x <= goal) if op == "<=" else (lambda x: x >= goal)
    if inside(value.low) and inside(value.high):
        return "met"
    if inside(value.low) or inside(value.high):
        return "likely met" if inside(value.median) else "likely not met"
    return "not met"
