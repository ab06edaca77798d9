"""fusewire: a tensor compiler and JIT in pure Python."""
