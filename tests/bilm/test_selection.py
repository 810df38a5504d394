import pytest
import torch

from elmo_tagger.bilm import ScalarMix
from elmo_tagger.bilm.selection import LayerSelection

LAYERS = {number: torch.full((1, 2, 4), float(number + 1)) for number in range(3)}
MASK = torch.tensor([[True, False]])


def select(choice: str | int = "all", mix: ScalarMix | None = None) -> LayerSelection:
    return LayerSelection(choice, num_layers=3, width=4, mix=mix)


@pytest.mark.parametrize(
    ("choice", "needed", "values", "dim"),
    [
        ("average", [0, 1, 2], [2.0] * 4, 4),
        ("top", [2], [3.0] * 4, 4),
        ("concat", [0, 1, 2], [1.0] * 2 + [2.0] * 4 + [3.0] * 4, 10),
        (0, [0], [1.0] * 4, 4),
        ("1", [1], [2.0] * 4, 4),
    ],
)
def test_each_layer_mode_selects_its_layers(
    choice: str | int, needed: list[int], values: list[float], dim: int
) -> None:
    selection = select(choice)
    combined = selection.combine({number: LAYERS[number] for number in needed}, MASK)
    assert (selection.needed, selection.dim, selection.leading) == (needed, dim, ())
    assert combined[0, 0].tolist() == values


def test_all_layers_stay_apart() -> None:
    selection = select()
    assert (selection.needed, selection.leading) == ([0, 1, 2], (3,))
    assert selection.combine(LAYERS, MASK)[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_mix_replaces_the_choice_and_leaves_padding_zero() -> None:
    mix = ScalarMix(3, initial=[0.0, 5.0, 1.0], gamma=2.0, layer_norm="token")
    layers = {number: torch.randn(1, 2, 4) for number in range(3)}
    combined = select("top", mix).combine(layers, MASK)
    torch.testing.assert_close(combined[:, :1], mix([layers[n] for n in range(3)])[:, :1])
    assert not combined[:, 1].any()


@pytest.mark.parametrize("choice", ["mix", "3", 3, "²", ""])
def test_another_choice_is_refused(choice: str | int) -> None:
    with pytest.raises(
        ValueError,
        match=r"layers: expected one of all, average, top, concat or a number from 0 \(character CNN\) to 2, received",
    ):
        select(choice)


def test_a_mix_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="the mix is of 2 layers, but the biLM has 3"):
        select("all", ScalarMix(2))
