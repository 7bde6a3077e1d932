# `make` alone lists the commands. They need Python 3.11 to 3.13, and all that they install goes into .venv.
#
#   make lab PORT=9000             another port
#   make lab TORCH=cpu             the small build of PyTorch without CUDA (Linux; on the first run)
#   make lab PYTHON=/path/python3  another Python (on the first run)

.DEFAULT_GOAL := help
.PHONY: help lab test verify catalogue demo notebooks site bench

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

lab: .venv/.lab  ## open the lessons in JupyterLab
	.venv/bin/simmim-lab lab $(if $(PORT),--port $(PORT))

test: .venv/.all  ## run the tests, two files at a time
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile

verify: .venv/.all  ## run the long tests, which rarely fail; results/ keeps what they found
	.venv/bin/python -m pytest tests -m verify --record results --numprocesses 2 --dist loadfile
	.venv/bin/simmim-course figures

catalogue: .venv/.all  ## put right answers to the tasks to 1,000 seeds, wrong ones to 100: hours; ONLY=TASK for one
	.venv/bin/python -m pytest tests/test_checks.py -m verify -k '$(or $(ONLY),many_seeds)' --seeds 1000 --record results \
		--numprocesses 2 --dist worksteal
	.venv/bin/simmim-course figures

demo: .venv/.lab  ## train SimMIM on photographs for two minutes; pictures and scores go to demo/
	.venv/bin/simmim-lab demo --out demo

notebooks: .venv/.all  ## execute the lessons in place
	.venv/bin/simmim-course execute

site: .venv/.all  ## build the website in build/site; LANGUAGE=zh-CN for the builder's words in another language
	.venv/bin/simmim-course site $(if $(LANGUAGE),--language $(LANGUAGE))

BENCHMARKS = pretrained decoder_race encoder_race training_masks loss_and_features inpainting judge generation gan_race keras_backends mae better_masks sparse_convolution in_context video pretrain_step data_pipeline speed lessons grading widget_latency website  # gpu_day and cifar10_race want a GPU, label_fractions and pretraining_pays CIFAR-10 in a folder, graders an hour

bench: .venv/.all  ## run the side-by-side measurements
	set -e; for name in $(BENCHMARKS); do .venv/bin/python benchmarks/$$name.py; done
	.venv/bin/simmim-course figures

# The first Python on the path that the course runs on.
PYTHON = $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell $(name) -c \
	'import sys; print("$(name)") if (3, 11) <= sys.version_info < (3, 14) else None' 2>/dev/null)))
NO_PYTHON = SimMIM Lab needs Python 3.11, 3.12 or 3.13, but found $(or $(shell python3 --version 2>/dev/null),none): \
	install one from python.org, or name it: make PYTHON=/path/to/python3

# A stamp is written last: an install that was cut off starts anew. A later change of pyproject.toml only updates.
.venv/.lab: pyproject.toml
	$(if $(PYTHON),,$(error $(NO_PYTHON)))
	@test -f $@ || $(PYTHON) -m venv --clear .venv
	$(if $(TORCH),.venv/bin/python -m pip install torch torchvision --index-url https://download.pytorch.org/whl/$(TORCH))
	.venv/bin/python -m pip install --editable ".[lab,hub,export,keras,shards,opencv]"
	@touch $@

# What a learner does not need: the tools of instructors and authors.
.venv/.all: .venv/.lab
	.venv/bin/python -m pip install --editable ".[lab,hub,export,keras,shards,opencv,teaching,site,dev]"
	@touch $@
