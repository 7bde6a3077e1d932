"""The commands of learners, for `cli`: those that train, those that use what was trained, and the lessons."""
