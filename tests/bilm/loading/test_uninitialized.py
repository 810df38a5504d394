import subprocess
import sys

import torch
from torch import nn

from elmo_tagger.bilm import Bilm, Options
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from tests.bilm.random_models import raw_options


def test_nothing_is_drawn() -> None:
    options = Options.from_dict(raw_options())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with Uninitialized():
        bilm = Bilm(options)
        weight = nn.init.normal_(tensor=torch.zeros(2))
        dense = nn.Sequential(nn.Linear(2, 3), nn.Conv1d(2, 3, 2), nn.LSTM(2, 3), nn.Embedding(4, 3))
    assert torch.equal(torch.rand(3), expected)
    assert not weight.any()
    assert len(list(dense.parameters())) == 9
    assert {name: value.shape for name, value in bilm.state_dict().items()} == {
        name: value.shape for name, value in Bilm(options).state_dict().items()
    }


def test_it_costs_no_imports() -> None:
    code = (
        "import sys\n"
        "from elmo_tagger.bilm import Bilm, Options\n"
        "from elmo_tagger.bilm.loading.uninitialized import Uninitialized\n"
        "from tests.bilm.random_models import raw_options\n"
        "with Uninitialized():\n    Bilm(Options.from_dict(raw_options()))\n"
        "print({'sympy', 'torch._dynamo'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
