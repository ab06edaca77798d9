"""Run time: devices, memory, code loading, executables. Generates no code."""
