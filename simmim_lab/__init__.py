"""SimMIM Lab: the code that the lessons of the course import, a module per idea.

masking      which parts of an image are hidden               lesson 01
encoders     from an image with hidden parts to features      lesson 02
decoders     from features back to pixels                     lesson 03
losses       the error on hidden pixels                       lesson 04
simmim       the model: encoder, decoder and loss             lessons 02 to 04
training     the recipe, the loop, checkpoints                lessons 05 and 06
evaluation   scores on hidden pixels, and what to beat        lesson 05
images       photographs, drawn scenes, data sets, folders
plots        figures
widgets      interactive figures
"""

from importlib.metadata import version

__version__ = version("simmim-lab")
