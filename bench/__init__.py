"""Benchmarks. Each compares in one run, interleaved, and reports medians and ratios; nothing here is a test."""

#: what `fusewire bench` runs, each a module here
SUITES = ("overhead", "eager", "compile_time", "tracing", "kernels", "models", "training", "loops", "data", "memory")
#: what needs more than a CPU, and runs where it is asked for
OTHERS = ("gpu",)
