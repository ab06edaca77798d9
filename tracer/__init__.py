"""Capture: the bytecode of a Python frame, run symbolically, becomes a graph, guards, effects and a way to go on.

Knows no back end: what it hands over is a `capture.Capture`.
"""
