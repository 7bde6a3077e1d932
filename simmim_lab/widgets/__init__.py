"""Interactive figures: choose a mask, paint one, drag a prediction, plan a training (all lessons).

Each widget is an anywidget, which JupyterLab and Colab can show. Its controls are native inputs, so the mouse,
fingers and the keyboard all work; its state can be read in Python, such as `explorer.mask`. Where no kernel
runs, a reader sees its poster, a still picture; a saved notebook holds nothing else of it.
"""

from simmim_lab.widgets.decoders import MaskBrush, ReconstructionExplorer
from simmim_lab.widgets.encoders import ReceptiveFieldExplorer
from simmim_lab.widgets.generation import Completions, SceneSampler
from simmim_lab.widgets.gpu_training import BudgetExplorer
from simmim_lab.widgets.inpainting_and_editing import Inpainter
from simmim_lab.widgets.masking import MaskExplorer
from simmim_lab.widgets.mse_loss import LossPlayground
from simmim_lab.widgets.pretrained_models import WeightsParity
from simmim_lab.widgets.the_mim_family import DesignGrid, FilmPlayer
from simmim_lab.widgets.training import LiveTraining, Scrubber
from simmim_lab.widgets.what_it_learned import TokenSimilarity

__all__ = [
    "BudgetExplorer",
    "Completions",
    "DesignGrid",
    "FilmPlayer",
    "Inpainter",
    "LiveTraining",
    "LossPlayground",
    "MaskBrush",
    "MaskExplorer",
    "ReceptiveFieldExplorer",
    "ReconstructionExplorer",
    "SceneSampler",
    "Scrubber",
    "TokenSimilarity",
    "WeightsParity",
]
