"""Checks of lesson 07: what is in the features of a pre-trained encoder."""

from simmim_lab.checks.guessing import Guess

GUESSES: dict[str, Guess] = {}
