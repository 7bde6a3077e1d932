"""Checks of lesson 11 and its exercises: masked image modelling next to its relatives."""

from simmim_lab.checks.guessing import Guess

GUESSES: dict[str, Guess] = {}
