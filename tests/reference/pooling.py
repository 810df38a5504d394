"""Pooling one sentence at a time, in plain Python."""


def pool(words, how):
    """`words`: the vectors of a sentence as lists of numbers, without padding; at least one."""
    if how == "mean":
        return [sum(column) / len(words) for column in zip(*words, strict=True)]
    if how == "max":
        return [max(column) for column in zip(*words, strict=True)]
    return [*words[0], *words[-1]]
