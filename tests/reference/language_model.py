"""A language model's data, sampling and losses, one word at a time; knows nothing of the package."""

import itertools
import math

import numpy as np

from tests.reference import bilm


def steps_of(sentence, direction):
    """Pairs of the word read and the word to predict, of a list of words."""
    words = ["<S>", *sentence, "</S>"]
    if direction == "backward":
        words.reverse()
    return list(itertools.pairwise(words))


def streams_of(sentences, direction, streams):
    """The text's steps in a row, cut into streams of equal length; what is left over is dropped."""
    row = [step for sentence in sentences for step in steps_of(sentence, direction)]
    length = len(row) // streams
    return [row[stream * length : (stream + 1) * length] for stream in range(streams)]


def log_uniform(size):
    """Probabilities of the words of a sorted vocabulary in one draw."""
    return [math.log((k + 2) / (k + 1)) / math.log(size + 1) for k in range(size)]


def softmax_loss(hidden, weight, bias, target):
    """Nats for one word, with the exact softmax."""
    logits = weight @ hidden + bias
    return float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target])


def sampled_softmax_loss(hidden, weight, bias, target, samples, draws):
    """Nats for one word among samples, each logit less the logarithm of its probability to be among them."""
    expected = [1.0 - (1.0 - p) ** draws for p in log_uniform(len(weight))]
    logit = {k: float(weight[k] @ hidden + bias[k]) - math.log(expected[k]) for k in {*samples, target}}
    return math.log(sum(math.exp(value) for value in logit.values())) - logit[target]


def sentence_losses(sentence, numbers, options, weights, softmax):
    """Nats (2,) of a sentence: forward and backward, with the exact softmax, without state from before."""
    layers, _ = bilm.embed(sentence, options, weights)
    top, width = layers[-1], layers.shape[-1] // 2
    weight, bias = softmax
    words = ["<S>", *sentence, "</S>"]
    forward = backward = 0.0
    for place in range(len(words) - 1):
        right, left = numbers.get(words[place + 1], 2), numbers.get(words[place], 2)
        forward += softmax_loss(top[place, :width], weight, bias, right)
        backward += softmax_loss(top[place + 1, width:], weight, bias, left)
    return np.array([forward, backward])
