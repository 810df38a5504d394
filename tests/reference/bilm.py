"""A biLM in NumPy, float64, one word and one LSTM step at a time; knows nothing of the package."""

import numpy as np


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def character_ids(word, max_characters):
    """bilm-tf's UnicodeCharsVocabulary, written out, and the shift by one of its Batcher."""
    if word == "<S>":
        code = [256]
    elif word == "</S>":
        code = [257]
    else:
        code = list(word.encode("utf-8", "ignore")[: max_characters - 2])
    code = [258, *code, 259]
    code += [260] * (max_characters - len(code))
    return [c + 1 for c in code]


def word_vector(ids, options, weights):
    """The character CNN for one word: (P,)."""
    cnn = options["char_cnn"]
    table = np.concatenate([np.zeros((1, cnn["embedding"]["dim"])), weights["char_embed"]])
    characters = table[np.asarray(ids)]
    activation = {"relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}[cnn["activation"]]
    pooled = []
    for i, (width, count) in enumerate(cnn["filters"]):
        kernel = weights[f"CNN/W_cnn_{i}"][0]  # (width, dim, count)
        best = np.full(count, -np.inf)
        for start in range(len(ids) - width + 1):
            window = characters[start : start + width]
            best = np.maximum(best, np.einsum("wd,wdn->n", window, kernel) + weights[f"CNN/b_cnn_{i}"])
        pooled.append(activation(best))
    vector = np.concatenate(pooled)
    for i in range(cnn["n_highway"]):
        own = {name: weights[f"CNN_high_{i}/{name}"] for name in ("W_carry", "b_carry", "W_transform", "b_transform")}
        carry = sigmoid(vector @ own["W_carry"] + own["b_carry"])
        transformed = np.maximum(vector @ own["W_transform"] + own["b_transform"], 0.0)
        vector = carry * transformed + (1.0 - carry) * vector
    return vector @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"]


def lstm_step(inputs, output, cell, options, weights):
    """One step of one layer and direction: the new output (P,) and cell (H,)."""
    lstm = options["lstm"]
    gates = np.concatenate([inputs, output]) @ weights["W_0"] + weights["B"]
    enter, candidate, forget, leave = np.split(gates, 4)
    cell = sigmoid(forget + 1.0) * cell + sigmoid(enter) * np.tanh(candidate)
    if lstm["cell_clip"] is not None:
        cell = np.clip(cell, -lstm["cell_clip"], lstm["cell_clip"])
    output = (sigmoid(leave) * np.tanh(cell)) @ weights["W_P_0"]
    if lstm["proj_clip"] is not None:
        output = np.clip(output, -lstm["proj_clip"], lstm["proj_clip"])
    return output, cell


def embed(words, options, weights, state=None):
    """All layers of one sentence.

    Returns:
        (L, T + 2, 2P), boundaries included, and the state afterwards: {(direction, layer): (output, cell)}.
    """
    lstm = options["lstm"]
    state = dict(state or {})
    longest = options["char_cnn"]["max_characters_per_token"]
    inputs = [word_vector(character_ids(word, longest), options, weights) for word in ["<S>", *words, "</S>"]]
    directions = []
    for direction in (0, 1):
        below = inputs if direction == 0 else inputs[::-1]
        layers = [np.stack(inputs)]
        for layer in range(lstm["n_layers"]):
            name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
            own = {key: weights[name + key] for key in ("W_0", "B", "W_P_0")}
            output, cell = state.get((direction, layer), (np.zeros(lstm["projection_dim"]), np.zeros(lstm["dim"])))
            outputs = []
            for vector in below:
                output, cell = lstm_step(vector, output, cell, options, own)
                skips = layer > 0 and lstm["use_skip_connections"]
                outputs.append(output + vector if skips else output)
            state[direction, layer] = output, cell
            below = outputs
            layers.append(np.stack(outputs if direction == 0 else outputs[::-1]))
        directions.append(np.stack(layers))
    return np.concatenate(directions, axis=-1), state
