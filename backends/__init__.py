"""Everything that turns kernels and plans into machine code. Knows neither Tensor nor tracer."""
