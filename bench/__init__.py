"""Benchmarks. Each compares in one run, interleaved, and reports medians and ratios; nothing here is a test."""
