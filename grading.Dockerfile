# Linux with bubblewrap, in which macOS and Windows can grade with isolation: see "Platforms" in INSTRUCTORS.md.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home instructor

# The course itself is mounted over this folder: no submission ever enters the image.
WORKDIR /course
COPY pyproject.toml README.md LICENSE ./
COPY simmim_lab simmim_lab
RUN pip install --no-cache-dir --editable ".[lab,teaching]"

USER instructor
