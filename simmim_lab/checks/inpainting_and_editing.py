"""Checks of lesson 08: holes of any shape in pictures of any size."""

from simmim_lab.checks.guessing import Guess

GUESSES: dict[str, Guess] = {}
