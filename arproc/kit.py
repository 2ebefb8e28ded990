"""What those who write models of their own need beside `Process`, `ChainLaw` and `State`.

| name | what for |
| --- | --- |
| `storable`, `StorableModule` | a law, a space, a dataclass, a network of yours in model files |
| `ContextForm` | what a law is conditioned on |
| `WindowState`, `InnerState` | states of finite order; states that wrap another |
| `DerivedLaw`, `WholeLaw` | laws made of another law; laws drawn from as a whole |
| `Estimated` | standard errors, criteria and a summary for a model with estimates |
| `maximum_likelihood` | all of `_fit` for a law that torch differentiates |
| `Vocabulary`, `Tokens`, `categorical_space` | symbols, and the space of text or other symbols |
| `NeuralProcess`, `NetworkLaw` | a model that trains a network, and the law that holds it |
| `Objective` | what a network is trained by: the batch of a step, and the loss of a part of it |
| `ExampleNetwork`, `Crops`, `shifted` | networks of examples of one size; stretches of sequences |
| `BatchesOfCrops` | the stretches of each step |
| `Given` | the linear map by which a context enters a network, in units of its own |

Spaces are in `arproc.spaces`, conditionals that torch lacks in `arproc.distributions`, the check
in `arproc.testing`. How they go together is told in CONTRIBUTING.
"""

from arproc.contract.conditioned import InnerState
from arproc.contract.context import ContextForm
from arproc.contract.law import DerivedLaw, WholeLaw
from arproc.contract.state import WindowState
from arproc.contract.storable import StorableModule, storable
from arproc.data.tokenizers import categorical_space
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.inference.estimated import Estimated
from arproc.inference.maximum import maximum_likelihood
from arproc.models.neural.base import NetworkLaw, NeuralProcess
from arproc.models.neural.examples import ExampleNetwork
from arproc.models.neural.given import Given
from arproc.models.neural.sequences.crops import BatchesOfCrops, Crops, shifted
from arproc.training import Objective

__all__ = [
    "BatchesOfCrops",
    "ContextForm",
    "Crops",
    "DerivedLaw",
    "Estimated",
    "ExampleNetwork",
    "Given",
    "InnerState",
    "NetworkLaw",
    "NeuralProcess",
    "Objective",
    "StorableModule",
    "Tokens",
    "Vocabulary",
    "WholeLaw",
    "WindowState",
    "categorical_space",
    "maximum_likelihood",
    "shifted",
    "storable",
]
