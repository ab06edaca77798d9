"""Benchmarks. Each compares in one run, interleaved, and reports medians and ratios; nothing here is a test."""

#: what `fusewire bench` runs, each a module here
SUITES = ("overhead", "eager", "compile_time", "tracing", "kernels", "models", "training", "loops", "data", "memory")
#: what runs only where it is asked for: each common call of its own; on a GPU (`bench.gpu`); the GPU's compiler without one
OTHERS = ("calls", "gpu", "gpu-host")
