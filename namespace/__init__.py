"""Packages of PyTorch's namespace beside the tensor core: ``fusewire.testing``, ``fusewire.multiprocessing`` and so on.

`addresses` says under which names they are found. Nothing is imported here.
"""
