"""The CPU back end: kernel IR -> LLVM text with explicit vectors -> machine code."""
