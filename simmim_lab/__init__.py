"""SimMIM Lab: the code that the lessons of the course import, a module per idea.

shapes        the tensors of the course, and what their axes mean
masking       which parts of an image are hidden               lesson 01
encoders      from an image with hidden parts to features      lesson 02
swin          the same in windows that shift                lesson 02
backbones     the encoders of timm                             lesson 02
decoders      from features back to pixels                     lesson 03
losses        the error on hidden pixels                       lesson 04
simmim        the model: encoder, decoder and loss             lessons 02 to 04
files         the weights of a model, in and out               lessons 04 and 05
recipe        how long a training is, and how fast it learns   lesson 05
training      what SimMIM trains on                            lesson 05
loop          the steps of any training, and how it goes on    lesson 05
evaluation    scores on hidden pixels, and what to beat        lesson 05
hardware      how a training runs on the machine at hand       lesson 06
checkpoints   the state of a training, kept                    lessons 05 and 06
distributed   several processes train together                 lesson 06
budget        work, memory and time: by hand, and measured     lesson 06
speedups      the same step, faster by one change at a time    lesson 06
autotune      faster steps, where this machine proves them     lesson 06
prefetch      batches drawn while a step still runs            lesson 06
probing       what is in the features, and who finds it       lesson 07
finetuning    a classifier on top of an encoder                lesson 07
augment       images changed at random, a batch at once        lesson 07
drop_path     residual branches left out at random             lesson 07
embeddings    the features of many pictures, in a file       lesson 07
inpainting    holes of any shape in pictures of any size       lesson 08
tokens        pictures as codes, and back                      lesson 09
generation    masked modelling that samples                    lesson 09
judging       how good pictures without a right answer are     lesson 09
gan           two networks that train against each other       lesson 09
published     weights of other programs, in and out            lesson 10
resizing      a trained network for another image size         lesson 10
simmim_keras  the same network in Keras                        lesson 10
exporting     the model in files for other programs            lesson 10
mae           an encoder that sees visible patches alone       lesson 11
guided        masks that a model chooses                       lesson 11
in_context    a task that is told by an example                lesson 11
video         clips, and a model that fills them               lesson 11

images, data  photographs, drawn scenes, data sets, folders
plots         figures
widgets       interactive figures
checks        what the lessons and exercises ask for
workspace     the learner's own copy of them
teaching      what only course staff run; nothing else imports it
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("simmim-lab")
except PackageNotFoundError:  # it lies on the path, but was not installed
    __version__ = "unknown"
