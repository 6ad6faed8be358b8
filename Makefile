# nndeploy: the commands of everyday work. Details: CONTRIBUTING.md.
#
#   make            build the release binary (build/release/nndeploy)
#   make demo       a real job on a bare machine: reads the digits in a picture
#   make test       what CI runs
#   make test-full  everything: other architectures, long fuzzing, all sanitizers
#   make bench      speed, in one run with the peers that are installed
#   make bench-engine  the built-in engine next to ONNX Runtime (MODELS="resnet18 vgg16" for some)
#   make conformance   the ONNX project's test cases (BACKEND=onnxruntime: on another backend)
#   make fmt lint   clang-format, clang-tidy and the project's own checks

JOBS ?= $(shell nproc)
ifneq ($(wildcard ../shared/models),)
export NNDEPLOY_TEST_DATA ?= $(abspath ../shared)
endif

.PHONY: all build demo test test-full bench bench-engine fmt lint install clean setup

all: build

setup:
	@scripts/setup.sh

build: setup
	@cmake --preset release > build-release.log 2>&1 || (cat build-release.log; rm -f build-release.log; exit 1)
	@rm -f build-release.log
	@cmake --build --preset release -j $(JOBS)

demo: setup
	@scripts/demo.sh

test: setup
	@scripts/test.sh

test-full:
	@scripts/setup.sh --full
	@scripts/test.sh --full

bench: setup
	@scripts/bench.sh

bench-engine: setup
	@bench/engine/run.sh $(MODELS)

# Cases that no runtime agrees on: the stored results depend on one library's random numbers.
DISPUTED = test_training_dropout test_training_dropout_mask test_training_dropout_default \
           test_training_dropout_default_mask 'test_bernoulli*'
BACKEND ?= builtin
conformance: build
	@test -n "$$NNDEPLOY_TEST_DATA" || { echo "set NNDEPLOY_TEST_DATA to the folder with onnx-tests/"; exit 1; }
	@rm -rf build/conformance && mkdir -p build/conformance
	@for archive in "$$NNDEPLOY_TEST_DATA"/onnx-tests/*.tar.xz; do tar xf "$$archive" -C build/conformance || exit 1; done
	@build/release/nndeploy conformance build/conformance --backend $(BACKEND) $(DISPUTED:%=--skip %)

fmt: setup
	@git ls-files '*.c' '*.h' | grep -v '^tests/workflow/plugin_v1/include/' | xargs clang-format -i

lint:
	@scripts/setup.sh --full
	@scripts/lint.sh

install: build
	@cmake --install build/release

clean:
	rm -rf build
