"""Plain twins of every compiled kernel: obvious loops, nothing imported from what they test."""

import math


def log_mean_exp(row):
    top = max(row)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(value - top) for value in row) / len(row))


def bootstrap_log_mean_exp(row, draws):
    return [log_mean_exp([row[index] for index in draw]) for draw in draws]


def effective_sample_size(row):
    weights = [math.exp(value - max(row)) for value in row]
    return math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)
