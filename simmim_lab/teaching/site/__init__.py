"""The website of the course: `make site` writes it into build/site.

pages      what Sphinx reads: copies of lessons, exercises and documents, made ready for the page
building   from there to build/site; site/conf.py holds the settings of Sphinx
"""
