"""What a user holds: parameters, a law learnt from data, and the user's forms in and out.

`Model` is the base of all, `Process` of those with conditionals; `written` is for models in one
class. Files and views of fitted models are here too.
"""

from arproc.contract.law import Draws
from arproc.process.fit import Fit
from arproc.process.model import Model
from arproc.process.process import Process

__all__ = ["Draws", "Fit", "Model", "Process"]
