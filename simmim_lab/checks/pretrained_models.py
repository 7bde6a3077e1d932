"""Checks of lesson 10 and its exercises: weights of others, and what it takes to use them."""

from simmim_lab.checks.guessing import Guess

GUESSES: dict[str, Guess] = {}
