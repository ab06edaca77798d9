"""Memory, streams and launches on GPUs. Generates no code, knows no Tensor, and touches no driver until a device is asked for."""
